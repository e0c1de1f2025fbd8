package org.qlora4j.grammar;

import java.util.LinkedHashSet;
import java.util.Set;

/**
 * All that may come next behind a text so far; several goals at once where it is not yet clear
 * which is meant.
 */
record GrammarState(Set<Goals> open) {
    /**
     * Meanings of a text that are followed at once. Of a schema whose alternatives all begin alike,
     * level after level, there are more than could be; texts of the others are then not written.
     */
    private static final int MOST = 1024;

    /** The state behind one more byte; {@link #isDead} if it may not come. */
    GrammarState with(int b) {
        Set<Goals> out = new LinkedHashSet<>();
        for (Goals goals : open) {
            goals.take(b, out);
            if (out.size() > MOST) {
                break;
            }
        }
        return new GrammarState(out);
    }

    /** How much work {@link #with} is. */
    int width() {
        return open.size();
    }

    boolean isDead() {
        return open.isEmpty();
    }

    /** Whether the text may end here. */
    boolean mayEnd() {
        return open.stream().anyMatch(Goals::mayEnd);
    }

    /** Whether any text without quotes and backslashes may come. */
    boolean takesPlain() {
        return open.stream()
                .anyMatch(goals -> {
                    Goal.Inside inside = goals.inside();
                    return inside != null && inside.takesPlain();
                });
    }
}
