package org.qlora4j.generate;

import java.util.List;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;

/** Chooses the tokens of one text: changes the logits by the settings, then takes or draws one. */
final class Sampler {
    /** Named, so that a seed means the same text on every JDK. */
    private static final String ALGORITHM = "L64X128MixRandom";

    private final GenerationConfig config;
    private final LogitRules rules;
    private final @Nullable RandomGenerator random;

    /**
     * @param ends ids that end the text
     */
    Sampler(GenerationConfig config, int[] prompt, Set<Integer> ends) {
        this.config = config;
        this.rules = new LogitRules(config, prompt, ends);
        this.random =
                config.doSample()
                        ? RandomGeneratorFactory.of(ALGORITHM).create(config.seed())
                        : null;
    }

    /**
     * The next token.
     *
     * @param logits of every token of the vocabulary, all finite; changed
     * @param tokens of the text so far, without the prompt
     */
    Token next(float[] logits, List<Integer> tokens) {
        Logprobs alone = config.logprobs() < 0 ? null : new Logprobs(logits.clone());
        rules.apply(logits, tokens);
        int likeliest = likeliest(logits);
        if (logits[likeliest] == Float.NEGATIVE_INFINITY) {
            throw new ConfigException(
                    "the settings of generation rule out every token; relax bad_words_ids,"
                            + " logit_bias or no_repeat_ngram_size");
        }
        int id = random == null ? likeliest : Candidates.of(logits, config).draw(random);
        return alone == null
                ? new Token(id, Double.NaN, List.of())
                : alone.token(id, config.logprobs());
    }

    /** The first of the largest. */
    private static int likeliest(float[] logits) {
        int best = 0;
        for (int id = 1; id < logits.length; id++) {
            best = logits[id] > logits[best] ? id : best;
        }
        return best;
    }
}
