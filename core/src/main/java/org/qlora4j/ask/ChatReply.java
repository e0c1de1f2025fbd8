package org.qlora4j.ask;

import java.io.Serializable;
import java.util.List;

/**
 * What a model replied.
 *
 * @param promptTokens tokens of the prompt, as the model counts them
 * @param newTokens tokens of the reply
 * @param finishReason why it ended: stop, length, or label where one was chosen
 * @param logProbabilities log p of each label of the call, in its order; empty for free text
 */
public record ChatReply(
        String text,
        int promptTokens,
        int newTokens,
        String finishReason,
        List<Double> logProbabilities)
        implements Serializable {
    public ChatReply {
        logProbabilities = List.copyOf(logProbabilities);
    }

    /** A reply in free text. */
    public static ChatReply text(
            String text, int promptTokens, int newTokens, String finishReason) {
        return new ChatReply(text, promptTokens, newTokens, finishReason, List.of());
    }
}
