package org.qlora4j.error;

import org.jspecify.annotations.Nullable;

/**
 * A mistake that the user can mend. Its message is one line: what, where, the value, the rule, the
 * way out.
 */
public abstract sealed class UserException extends RuntimeException
        permits ConfigException, FormatException, DeviceException {
    UserException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
