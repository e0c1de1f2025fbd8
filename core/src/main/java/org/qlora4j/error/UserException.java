package org.qlora4j.error;

import org.jspecify.annotations.Nullable;

/**
 * A mistake that the user can mend. Its message is one line: what, where, the value, the rule, the
 * way out.
 */
public abstract sealed class UserException extends RuntimeException
        permits ConfigException, FormatException, DeviceException {
    /** Characters of a message; a value of a stranger in it may be as long as a file. */
    private static final int MAX_LENGTH = 3000;

    /** Characters that are kept of its end, where the rule and the way out stand. */
    private static final int TAIL = 1000;

    UserException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }

    /** A message as one line of bounded length, whatever values it quotes. */
    static String oneLine(String message) {
        String line = message.replaceAll("\\s*\\R\\s*", " ");
        int length = line.length();
        return length <= MAX_LENGTH
                ? line
                : line.substring(0, MAX_LENGTH - TAIL) + " ... " + line.substring(length - TAIL);
    }
}
