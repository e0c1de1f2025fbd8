package org.qlora4j.error;

import org.jspecify.annotations.Nullable;

/** A device, instruction set or amount of memory or disk that this machine does not offer. */
public final class DeviceException extends UserException {
    public DeviceException(String message) {
        this(message, null);
    }

    public DeviceException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }

    /** With a message made as {@link String#format} does. */
    @SuppressWarnings("AnnotateFormatMethod") // the annotation would cost a dependency
    public static DeviceException of(String format, @Nullable Object... args) {
        return new DeviceException(String.format(java.util.Locale.ROOT, format, args));
    }
}
