package org.qlora4j.grammar;

import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What must still come, the next first; a value, whose ends are shared. */
final class Goals {
    /** Nothing more. */
    static final Goals NONE = new Goals();

    private final @Nullable Goal first;
    private final @Nullable Goals rest;
    private final int hash;

    private Goals() {
        this.first = null;
        this.rest = null;
        this.hash = 1;
    }

    private Goals(Goal first, Goals rest) {
        this.first = first;
        this.rest = rest;
        this.hash = 31 * rest.hash + first.hashCode();
    }

    /** A sequence before these. */
    Goals after(List<Goal> sequence) {
        Goals out = this;
        for (int i = sequence.size() - 1; i >= 0; i--) {
            out = new Goals(sequence.get(i), out);
        }
        return out;
    }

    private Goals after(Goal goal) {
        return new Goals(goal, this);
    }

    /** What comes first, if it is the inside of a string. */
    Goal.@Nullable Inside inside() {
        return first instanceof Goal.Inside inside ? inside : null;
    }

    /** Whether a text may end here. */
    boolean mayEnd() {
        if (first == null || rest == null) {
            return true;
        }
        return switch (first) {
            case Goal.Blanks b -> rest.mayEnd();
            case Goal.Number n -> n.mayEnd() && rest.mayEnd();
            case Goal.Rule rule ->
                    rule.alternatives.stream().anyMatch(each -> rest.after(each).mayEnd());
            case Goal.Literal l -> false;
            case Goal.Inside i -> false;
        };
    }

    /**
     * Adds what must come behind a byte; nothing if it may not come.
     *
     * @param b from 0 to 255
     */
    void take(int b, Set<Goals> out) {
        if (first == null || rest == null) {
            return;
        }
        switch (first) {
            case Goal.Literal(String bytes, int at) -> {
                if (bytes.charAt(at) == b) {
                    boolean whole = at + 1 == bytes.length();
                    out.add(whole ? rest : rest.after(new Goal.Literal(bytes, at + 1)));
                }
            }
            case Goal.Blanks(int left) -> {
                if (left > 0 && Goal.Blanks.isOne(b)) {
                    out.add(rest.after(new Goal.Blanks(left - 1)));
                }
                rest.take(b, out);
            }
            case Goal.Number number -> {
                Goal.Number next = number.with(b);
                if (next != null) {
                    out.add(rest.after(next));
                }
                if (number.mayEnd()) {
                    rest.take(b, out);
                }
            }
            case Goal.Inside inside -> {
                Goal.Inside next = inside.with(b);
                if (inside.closes(b)) {
                    out.add(rest);
                } else if (next != null) {
                    out.add(rest.after(next));
                }
            }
            case Goal.Rule rule -> {
                for (List<Goal> each : rule.alternatives) {
                    boolean other =
                            each.getFirst() instanceof Goal.Literal(String bytes, int at)
                                    && bytes.charAt(at) != b;
                    if (!other) { // most of a long enum
                        rest.after(each).take(b, out);
                    }
                }
            }
        }
    }

    @Override
    public boolean equals(@Nullable Object other) {
        if (this == other) {
            return true;
        }
        return other instanceof Goals goals
                && hash == goals.hash
                && Objects.equals(first, goals.first)
                && Objects.equals(rest, goals.rest);
    }

    @Override
    public int hashCode() {
        return hash;
    }
}
