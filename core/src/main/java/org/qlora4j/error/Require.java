package org.qlora4j.error;

/** Checks of settings, used by the compact constructors of config records. */
public final class Require {
    private Require() {}

    /** Throws a {@link ConfigException} with the formatted message unless the condition holds. */
    public static void require(boolean condition, String format, Object... args) {
        if (!condition) {
            throw ConfigException.of(format, args);
        }
    }
}
