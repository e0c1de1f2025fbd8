package org.qlora4j.generate;

import static org.qlora4j.error.Require.require;

/**
 * How a continuation is chosen and when it ends; names and meaning are those of transformers'
 * {@code GenerationConfig}.
 *
 * @param maxNewTokens most tokens to generate, at least 1
 * @param minNewTokens tokens before which the text cannot end, from 0 to {@code maxNewTokens}
 * @param doSample false takes the likeliest token every time, and the three below do not matter
 * @param temperature logits are divided by it; above 0
 * @param topP tokens outside the smallest set of this probability are never drawn (arXiv
 *     1904.09751); in [0, 1]
 * @param seed repeats a drawn text on the same machine
 */
public record GenerationConfig(
        int maxNewTokens,
        int minNewTokens,
        boolean doSample,
        double temperature,
        double topP,
        long seed) {
    public static final GenerationConfig DEFAULT = new GenerationConfig(256, 0, false, 1, 1, 0);

    public GenerationConfig {
        require(
                maxNewTokens >= 1,
                "generation.max_new_tokens must be at least 1, got %d",
                maxNewTokens);
        require(
                minNewTokens >= 0 && minNewTokens <= maxNewTokens,
                "generation.min_new_tokens must be from 0 to max_new_tokens (%d), got %d",
                maxNewTokens,
                minNewTokens);
        require(
                temperature > 0 && temperature < Double.POSITIVE_INFINITY,
                "generation.temperature must be above 0, got %s; for the likeliest token use"
                        + " do_sample false",
                temperature);
        require(topP >= 0 && topP <= 1, "generation.top_p must be in [0, 1], got %s", topP);
    }

    public GenerationConfig withMaxNewTokens(int tokens) {
        return new GenerationConfig(tokens, minNewTokens, doSample, temperature, topP, seed);
    }

    public GenerationConfig withMinNewTokens(int tokens) {
        return new GenerationConfig(maxNewTokens, tokens, doSample, temperature, topP, seed);
    }

    /** The same limits, with every token the likeliest. */
    public GenerationConfig greedy() {
        return new GenerationConfig(maxNewTokens, minNewTokens, false, temperature, topP, seed);
    }

    /** The same limits, with every token drawn. */
    public GenerationConfig sampling(double newTemperature, double newTopP, long newSeed) {
        return new GenerationConfig(
                maxNewTokens, minNewTokens, true, newTemperature, newTopP, newSeed);
    }
}
