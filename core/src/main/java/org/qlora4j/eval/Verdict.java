package org.qlora4j.eval;

/** What a judge says of two answers, the better one or neither. */
public enum Verdict {
    FIRST(1),
    SECOND(0),
    TIE(0.5);

    private final double score;

    Verdict(double score) {
        this.score = score;
    }

    /** Points of the answer shown first: 1, 0 or a half. */
    public double score() {
        return score;
    }

    /** The verdict as if the answers had been shown the other way round. */
    public Verdict turned() {
        return switch (this) {
            case FIRST -> SECOND;
            case SECOND -> FIRST;
            case TIE -> TIE;
        };
    }

    /** The verdict that two scores amount to. */
    public static Verdict of(double first, double second) {
        return first > second ? FIRST : first < second ? SECOND : TIE;
    }
}
