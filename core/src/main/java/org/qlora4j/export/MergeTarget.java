package org.qlora4j.export;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import org.qlora4j.error.ConfigException;

/** What an adapter is merged into. */
public enum MergeTarget {
    /** The checkpoint's weights as they are, in its own type. */
    ORIGINAL("the checkpoint's own weights"),
    /** The weights as 4 bits had them in training, decoded, in the checkpoint's own type. */
    DEQUANTIZED("the weights as 4 bits had them in training"),
    /** The same, rounded to NF4 again after merging. */
    NF4("the same, rounded to NF4 again");

    private final String what;

    MergeTarget(String what) {
        this.what = what;
    }

    /** As it is written in commands. */
    public String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** What it is, in words. */
    public String what() {
        return what;
    }

    /** The keys, for messages. */
    public static String keys() {
        return Arrays.stream(values()).map(MergeTarget::key).collect(Collectors.joining(", "));
    }

    /**
     * The target of a key.
     *
     * @throws ConfigException if there is none
     */
    public static MergeTarget of(String key) {
        return Arrays.stream(values())
                .filter(target -> target.key().equals(key.toLowerCase(Locale.ROOT)))
                .findFirst()
                .orElseThrow(
                        () -> ConfigException.of("--into must be one of %s, got %s", keys(), key));
    }
}
