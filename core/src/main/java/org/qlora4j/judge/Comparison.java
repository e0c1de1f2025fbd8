package org.qlora4j.judge;

/**
 * Two answers to one question in the order in which a judge is shown them.
 *
 * @param first system of the answer shown first
 * @param one that answer
 * @param second system of the other
 * @param two the other
 * @param again whether it is judged a second time, to see how far the judge agrees with itself
 */
record Comparison(
        Question question,
        String first,
        SystemAnswers.Given one,
        String second,
        SystemAnswers.Given two,
        boolean again) {
    Comparison repeated() {
        return new Comparison(question, first, one, second, two, true);
    }
}
