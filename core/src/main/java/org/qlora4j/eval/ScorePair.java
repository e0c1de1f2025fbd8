package org.qlora4j.eval;

/**
 * Two scores that a judge gave a system and the reference system on one question.
 *
 * @param question its id
 * @param system the system that is not the reference
 * @param systemFirst whether its answer was shown first
 * @param score the system's, 0 to 10
 * @param reference the reference's, 0 to 10
 */
public record ScorePair(
        String question, String system, boolean systemFirst, double score, double reference) {}
