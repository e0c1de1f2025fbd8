package org.qlora4j.generate;

import java.util.List;

/**
 * A continuation, and what it cost.
 *
 * @param tokens the new ids; where the model ended the text, its end-of-text token is the last
 * @param stopReason why it ended
 * @param promptTokens ids of the prompt
 * @param prefillSeconds time in which the model read the prompt
 * @param decodeSeconds time from then to the end, the receiver's included
 */
public record Generation(
        List<Integer> tokens,
        StopReason stopReason,
        int promptTokens,
        double prefillSeconds,
        double decodeSeconds) {
    public Generation {
        tokens = List.copyOf(tokens);
    }

    /** Prompt tokens read in a second. */
    public double prefillTokensPerSecond() {
        return promptTokens / prefillSeconds;
    }

    /** Tokens generated in a second, not counting the first, which reading the prompt gives. */
    public double decodeTokensPerSecond() {
        return (tokens.size() - 1) / decodeSeconds;
    }
}
