package org.qlora4j.error;

import org.jspecify.annotations.Nullable;

/** A setting, flag or configuration key with a value that cannot be used. */
public final class ConfigException extends UserException {
    public ConfigException(String message) {
        this(message, null);
    }

    public ConfigException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }

    /** With a message made as {@link String#format} does. */
    @SuppressWarnings("AnnotateFormatMethod") // the annotation would cost a dependency
    public static ConfigException of(String format, @Nullable Object... args) {
        return new ConfigException(String.format(java.util.Locale.ROOT, format, args));
    }
}
