package org.qlora4j.grammar;

import java.util.LinkedHashSet;
import java.util.Set;

/**
 * All that may come next behind a text so far; several goals at once where it is not yet clear
 * which is meant.
 */
record GrammarState(Set<Goals> open) {
    /** The state behind one more byte; {@link #isDead} if it may not come. */
    GrammarState with(int b) {
        Set<Goals> out = new LinkedHashSet<>();
        open.forEach(goals -> goals.take(b, out));
        return new GrammarState(out);
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
