package org.qlora4j.run;

import java.util.List;
import java.util.function.Predicate;

/**
 * What the model answers to the held-out examples, beside the answers that stand there.
 *
 * @param step steps done before
 * @param predictions one for each held-out example with an answer, in their order
 */
public record ExactMatch(long step, List<Prediction> predictions) {
    /**
     * One held-out example. Texts are without special tokens and blanks around them.
     *
     * @param prompt its own part: without what begins and ends every prompt alike, as a template's
     *     texts do
     * @param expected the answer that stands in the data
     * @param base what the model said before the run
     * @param finetuned what it says after it
     */
    public record Prediction(String prompt, String expected, String base, String finetuned) {
        /** Whether the base model's answer is the expected one, letter by letter. */
        public boolean baseIsRight() {
            return base.equals(expected);
        }

        /** Whether the finetuned model's answer is the expected one, letter by letter. */
        public boolean isRight() {
            return finetuned.equals(expected);
        }
    }

    public ExactMatch {
        predictions = List.copyOf(predictions);
    }

    /** Answers of the base model that are as expected. */
    public int baseRight() {
        return count(Prediction::baseIsRight);
    }

    /** Answers of the finetuned model that are as expected. */
    public int right() {
        return count(Prediction::isRight);
    }

    private int count(Predicate<Prediction> condition) {
        return (int) predictions.stream().filter(condition).count();
    }
}
