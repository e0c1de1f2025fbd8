package org.qlora4j;

import org.qlora4j.generate.StopReason;

/**
 * What a model answered, and what it cost.
 *
 * @param text of the new tokens, without special ones
 * @param stopReason why it ended
 * @param promptTokens tokens of the prompt
 * @param newTokens tokens generated, an end-of-text token included
 * @param prefillSeconds time in which the model read the prompt
 * @param decodeSeconds time from then to the end, the receiver's included
 */
public record Answer(
        String text,
        StopReason stopReason,
        int promptTokens,
        int newTokens,
        double prefillSeconds,
        double decodeSeconds) {
    /** Prompt tokens read in a second. */
    public double prefillTokensPerSecond() {
        return promptTokens / prefillSeconds;
    }

    /** Tokens generated in a second, not counting the first, which reading the prompt gives. */
    public double decodeTokensPerSecond() {
        return (newTokens - 1) / decodeSeconds;
    }
}
