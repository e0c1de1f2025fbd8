package org.qlora4j.model;

/** The config of a model of some family, from which its weights are named and its layers built. */
public interface Architecture {
    /** Sizes that do not depend on the family. */
    ModelFacts facts();

    /** What a norm's weights are before anything is learnt. */
    default double normStart() {
        return 1;
    }

    /** What it is asked for. */
    default Task task() {
        return new Task.NextToken();
    }

    /** Asks for all weights, in an order that never changes, and puts them together. */
    Decoder build(Weights weights);
}
