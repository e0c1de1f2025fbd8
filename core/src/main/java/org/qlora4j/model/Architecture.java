package org.qlora4j.model;

import org.qlora4j.error.ConfigException;

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

    /** What the names of weights begin with that a checkpoint may lack; empty for none. */
    default String newHead() {
        return "";
    }

    /** The class of transformers that has that head; empty where the head is always there. */
    default String newHeadClass() {
        return "";
    }

    /**
     * The same with other classes.
     *
     * @throws ConfigException if it has none
     */
    default Architecture withLabels(Labels labels) {
        throw ConfigException.of(
                "model.num_labels and model.label_names must be left out for models of type %s, which classify no texts",
                facts().type());
    }

    /** Whether all layers compute alike, so that what some take in memory tells of the rest. */
    default boolean layersAreAlike() {
        return false;
    }

    /** Asks for all weights, in an order that never changes, and puts them together. */
    Decoder build(Weights weights);
}
