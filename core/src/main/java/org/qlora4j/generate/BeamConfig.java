package org.qlora4j.generate;

import static org.qlora4j.error.Require.require;

/**
 * How beams are searched; names and meaning are those of transformers' {@code GenerationConfig}.
 *
 * @param numBeams texts that are continued side by side, at least 1
 * @param lengthPenalty power of its length that a text's log-probability is divided by; above 0 it
 *     favors long ones
 * @param earlyStopping when the search ends, once there are {@code numBeams} finished texts
 */
public record BeamConfig(int numBeams, double lengthPenalty, EarlyStopping earlyStopping) {
    /** When a search with enough finished texts ends. */
    public enum EarlyStopping {
        /** As soon as there are enough. */
        TRUE,
        /** When the best text under way would not beat the worst finished one at its length. */
        FALSE,
        /** When it would not at any length. */
        NEVER
    }

    public BeamConfig {
        require(numBeams >= 1, "generation.num_beams must be at least 1, got %d", numBeams);
        require(
                Double.isFinite(lengthPenalty),
                "generation.length_penalty must be a number, got %s",
                lengthPenalty);
    }

    /** As transformers has it where nothing else is said. */
    public static BeamConfig of(int numBeams) {
        return new BeamConfig(numBeams, 1, EarlyStopping.FALSE);
    }

    /** A finished text's score. */
    double score(double logProbability, int tokens) {
        return logProbability / Math.pow(tokens, lengthPenalty);
    }
}
