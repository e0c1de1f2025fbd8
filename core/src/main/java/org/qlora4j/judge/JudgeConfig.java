package org.qlora4j.judge;

import static org.qlora4j.error.Require.require;

import org.jspecify.annotations.Nullable;

/**
 * How a judge works.
 *
 * @param labels whether the verdict is the likeliest label instead of a text that is read
 * @param calibrated whether labels 1 and 2 are made equally likely over all comparisons first,
 *     which takes the judge's liking for a place out; both orders of every pair are there
 * @param attempts replies to a comparison before it stays without a verdict, at least 1
 * @param again share of the comparisons that are judged twice, in [0, 1]
 * @param temperature null for the reviewer's
 * @param maxTokens null for the reviewer's
 */
public record JudgeConfig(
        JudgeMode mode,
        boolean labels,
        boolean calibrated,
        int attempts,
        double again,
        @Nullable Double temperature,
        @Nullable Integer maxTokens,
        long seed) {
    /** Pairwise, by text. */
    public static final JudgeConfig DEFAULT =
            new JudgeConfig(JudgeMode.PAIRWISE, false, false, 3, 0.25, null, null, 0);

    public JudgeConfig {
        require(
                !calibrated || (labels && mode == JudgeMode.PAIRWISE),
                "--calibrate is for --verdict labels in --mode pairwise");
        require(attempts >= 1, "--attempts must be at least 1, got %d", attempts);
        require(again >= 0 && again <= 1, "--again must be in [0, 1], got %s", again);
    }
}
