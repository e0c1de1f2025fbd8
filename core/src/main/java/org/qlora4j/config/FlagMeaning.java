package org.qlora4j.config;

import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a flag of qlora.py comes to here. Flags compare their values in lower case, truth as {@code
 * true/false}.
 */
sealed interface FlagMeaning {
    /**
     * It sets a key.
     *
     * @param key with its section
     * @param values values that mean another value here; the rest stay as they are
     * @param otherwise why a value not among {@code values} cannot be had; null lets it pass as it
     *     is
     */
    record Sets(String key, Map<String, String> values, @Nullable String otherwise)
            implements FlagMeaning {}

    /**
     * It is understood and has no effect, which a notice says.
     *
     * @param reason why
     * @param silent values that say what happens here anyway, and need no notice
     */
    record Ignored(String reason, Set<String> silent) implements FlagMeaning {}

    /**
     * To go on without it would make another run than the one asked for.
     *
     * @param reason why it cannot be had, and what to do
     * @param harmless values that ask for nothing
     */
    record Refused(String reason, Set<String> harmless) implements FlagMeaning {}
}
