package org.qlora4j.lora;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import org.qlora4j.error.ConfigException;

/**
 * How several adapters become one, by the names of PEFT's {@code add_weighted_adapter}. All but
 * {@link #CAT} make new factors A of all A, and B of all B, each times the root of its adapter's
 * weight and scaling.
 */
public enum Combination {
    /** The sum of the changes, each times its weight; of adapters of every kind and rank. */
    CAT,
    /** Sums of A and of B. */
    LINEAR,
    /**
     * Means of the largest entries of each A and B (arXiv 2306.01708). Of these only those count
     * that have the sign that prevails.
     */
    TIES,
    /** Sums of the largest entries of A and of B. */
    MAGNITUDE_PRUNE;

    /** As it is written in commands. */
    public String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Whether it keeps the largest entries alone. */
    boolean prunes() {
        return this == TIES || this == MAGNITUDE_PRUNE;
    }

    /** The keys, for messages. */
    public static String keys() {
        return Arrays.stream(values()).map(Combination::key).collect(Collectors.joining(", "));
    }

    /**
     * The combination of a key.
     *
     * @throws ConfigException if there is none
     */
    public static Combination of(String key) {
        return Arrays.stream(values())
                .filter(how -> how.key().equals(key.toLowerCase(Locale.ROOT)))
                .findFirst()
                .orElseThrow(() ->
                        ConfigException.of("--combine must be one of %s, got %s", keys(), key));
    }
}
