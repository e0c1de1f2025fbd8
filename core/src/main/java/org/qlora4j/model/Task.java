package org.qlora4j.model;

import java.util.List;

/** What a model is asked for, which decides what a batch looks like and what its loss is. */
public sealed interface Task {
    /** The name by which PEFT calls it, {@code task_type}. */
    default String peftName() {
        return switch (this) {
            case NextToken next -> "CAUSAL_LM";
            case Classify classify -> "SEQ_CLS";
            case SequenceToSequence pairs -> "SEQ_2_SEQ_LM";
        };
    }

    /** Each token of a text by those before it. */
    record NextToken() implements Task {}

    /**
     * One class of a whole text, or a number.
     *
     * @param classes how many there are; 1 for a number
     * @param names of the classes, in their order; empty where they have none
     */
    record Classify(int classes, List<String> names) implements Task {
        /** Whether it is a number that is asked for. */
        public boolean isRegression() {
            return classes == 1;
        }

        /**
         * What a class is called: LABEL_0 and so on where they have no names, as in transformers.
         */
        public String name(int number) {
            return names.isEmpty() ? "LABEL_" + number : names.get(number);
        }
    }

    /**
     * Each token of a target by those before it and a whole source.
     *
     * @param startId what a target begins with, before its first token
     */
    record SequenceToSequence(int startId) implements Task {}
}
