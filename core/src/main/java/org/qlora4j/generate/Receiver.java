package org.qlora4j.generate;

/** What is told of a text under way, on the engine thread. */
public interface Receiver {
    /**
     * Takes a token at once, one that ends the text too.
     *
     * @return false if no more are wanted, which ends the text
     */
    boolean token(int id);

    /** Takes the whole at its end, whatever the reason. */
    default void ended(Generation generation) {}

    /**
     * Takes what went wrong with this text alone, which thereby ends; thrown on, it ends the step
     * of all.
     */
    default void failed(RuntimeException failure) {
        throw failure;
    }
}
