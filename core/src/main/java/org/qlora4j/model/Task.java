package org.qlora4j.model;

/** What a model is asked for, which decides what a batch looks like and what its loss is. */
public sealed interface Task {
    /** Each token of a text by those before it. */
    record NextToken() implements Task {}

    /**
     * One class of a whole text.
     *
     * @param classes how many there are
     */
    record Classify(int classes) implements Task {}

    /**
     * Each token of a target by those before it and a whole source.
     *
     * @param startId what a target begins with, before its first token
     */
    record SequenceToSequence(int startId) implements Task {}
}
