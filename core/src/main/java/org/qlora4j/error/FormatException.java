package org.qlora4j.error;

import org.jspecify.annotations.Nullable;

/** A file that is missing, damaged or not what it was taken for; the message names the file. */
public final class FormatException extends UserException {
    public FormatException(String message) {
        this(message, null);
    }

    public FormatException(String message, @Nullable Throwable cause) {
        super(oneLine(message), cause);
    }

    /** With a message made as {@link String#format} does. */
    @SuppressWarnings("AnnotateFormatMethod") // the annotation would cost a dependency
    public static FormatException of(String format, @Nullable Object... args) {
        return new FormatException(String.format(java.util.Locale.ROOT, format, args));
    }
}
