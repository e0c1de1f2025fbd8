package org.qlora4j.error;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** A setting, flag or configuration key with a value that cannot be used. */
public final class ConfigException extends UserException {
    private final List<String> problems;

    public ConfigException(String message) {
        this(message, null);
    }

    public ConfigException(String message, @Nullable Throwable cause) {
        super(oneLine(message), cause);
        this.problems = List.of(oneLine(message));
    }

    private ConfigException(List<String> problems) {
        super(String.join("\n", problems), null);
        this.problems = List.copyOf(problems);
    }

    /** Several problems that were found together, a line of the message each. */
    public static ConfigException all(List<String> problems) {
        return new ConfigException(problems);
    }

    /** What is wrong; most often one problem. */
    public List<String> problems() {
        return problems;
    }

    /** With a message made as {@link String#format} does. */
    @SuppressWarnings("AnnotateFormatMethod") // the annotation would cost a dependency
    public static ConfigException of(String format, @Nullable Object... args) {
        return new ConfigException(String.format(java.util.Locale.ROOT, format, args));
    }
}
