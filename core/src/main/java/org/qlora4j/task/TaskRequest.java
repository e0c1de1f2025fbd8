package org.qlora4j.task;

import java.io.Serializable;

/** What a task asks of a model. */
public sealed interface TaskRequest extends Serializable {
    /** How likely a text is after another, and whether it is what greedy decoding would write. */
    record LogLikelihood(String context, String continuation) implements TaskRequest {}

    /**
     * How likely the first token of a text is after another. Both become tokens apart from each
     * other, with BOS before them.
     */
    record NextToken(String context, String continuation) implements TaskRequest {}

    /** How likely a whole text is, in windows of the model's context. */
    record Rolling(String text) implements TaskRequest {}

    /**
     * A continuation.
     *
     * @param settings when it ends
     * @param repeat which of several answers to the same context this is, from 0
     */
    record Generate(String context, GenerationSettings settings, int repeat)
            implements TaskRequest {}
}
