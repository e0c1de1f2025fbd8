package org.qlora4j.generate;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** What is told of a text under way, on the engine thread. */
public interface Receiver {
    /**
     * Takes the prompt's tokens when it has been read, if their log-probabilities were asked for;
     * the first has none.
     */
    default void promptRead(List<Token> tokens) {}

    /**
     * Takes a token at once, one that ends the text too.
     *
     * @return why no more are wanted, which ends the text; null to go on
     */
    @Nullable StopReason token(Token token);

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
