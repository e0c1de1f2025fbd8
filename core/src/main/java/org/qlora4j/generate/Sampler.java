package org.qlora4j.generate;

/** Chooses the next token of a text. */
public sealed interface Sampler permits GreedySampler, TopPSampler {
    /**
     * @param logits of every token of the vocabulary, none NaN; negative infinity where a token is
     *     ruled out, but not everywhere
     * @return a token id, an index of {@code logits}
     */
    int next(float[] logits);

    /** The sampler that a configuration asks for, at the beginning of a text. */
    static Sampler of(GenerationConfig config) {
        return config.doSample()
                ? new TopPSampler(config.temperature(), config.topP(), config.seed())
                : new GreedySampler();
    }
}
