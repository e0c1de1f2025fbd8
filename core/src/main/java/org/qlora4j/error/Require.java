package org.qlora4j.error;

import org.jspecify.annotations.Nullable;

/** Checks of settings, used by the compact constructors of config records. */
public final class Require {
    private Require() {}

    /** Throws a {@link ConfigException} with the formatted message unless the condition holds. */
    @SuppressWarnings("AnnotateFormatMethod") // the annotation would cost a dependency
    public static void require(boolean condition, String format, @Nullable Object... args) {
        if (!condition) {
            throw ConfigException.of(format, args);
        }
    }

    /**
     * An argument of a public method, which must be there.
     *
     * @param name of the parameter
     * @throws NullPointerException that names it, if it is null
     */
    public static <T> T given(@Nullable T argument, String name) {
        if (argument == null) {
            throw new NullPointerException(name + " must not be null");
        }
        return argument;
    }
}
