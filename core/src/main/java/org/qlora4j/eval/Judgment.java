package org.qlora4j.eval;

/**
 * One comparison of two systems' answers to one question.
 *
 * @param question its id
 * @param first system whose answer was shown first
 * @param second system whose answer was shown second
 * @param verdict the judge's
 */
public record Judgment(String question, String first, String second, Verdict verdict) {
    /** The two systems in alphabetical order, so that both orders of showing have one name. */
    Pair pair() {
        return first.compareTo(second) <= 0 ? new Pair(first, second) : new Pair(second, first);
    }

    /** Points of the system that is first in {@link #pair}. */
    double scoreOfPair() {
        return first.compareTo(second) <= 0 ? verdict.score() : 1 - verdict.score();
    }

    /** Two systems. */
    record Pair(String a, String b) {}
}
