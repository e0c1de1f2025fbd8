package org.qlora4j.eval;

import java.util.Locale;
import org.qlora4j.error.ConfigException;

/** The ways to make ratings of judgments; one sequence of matches has many. */
public enum EloProcedure {
    /** One pass in the order of the files, and the ratings at its end. */
    SINGLE_PASS("single-pass"),
    /** The ratings at the end of a random order, averaged over orders (the paper's Table 7). */
    FINAL("final"),
    /**
     * One judgment of each pair and question, in random order; a system's value is the mean of its
     * ratings after each of its matches, averaged over orders (the paper's Table 1).
     */
    HISTORY("history");

    private final String key;

    EloProcedure(String key) {
        this.key = key;
    }

    /** The name in flags and reports. */
    public String key() {
        return key;
    }

    /** The procedure of a name. */
    public static EloProcedure of(String key) {
        for (EloProcedure p : values()) {
            if (p.key.equals(key.toLowerCase(Locale.ROOT))) {
                return p;
            }
        }
        throw ConfigException.of("--procedure must be single-pass, final or history, got %s", key);
    }
}
