package org.qlora4j.generate;

import java.util.List;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.grammar.TokenMask;

/** Chooses the tokens of one text: changes the logits by the settings, then takes or draws one. */
final class Sampler {
    /** Named, so that a seed means the same text on every JDK. */
    private static final String ALGORITHM = "L64X128MixRandom";

    private final GenerationConfig config;
    private final LogitRules rules;
    private final Set<Integer> ends;
    private final @Nullable TokenMask mask;
    private final @Nullable RandomGenerator random;

    /** A sampler of a text that may be anything. */
    Sampler(GenerationConfig config, int[] prompt, Set<Integer> ends) {
        this(config, prompt, ends, null);
    }

    /**
     * @param ends ids that end the text
     * @param mask what the text may be; null for anything
     */
    Sampler(GenerationConfig config, int[] prompt, Set<Integer> ends, @Nullable TokenMask mask) {
        this.config = config;
        this.ends = ends;
        this.mask = mask;
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
        if (mask != null) {
            mask.apply(logits, ends);
        }
        int likeliest = likeliest(logits);
        if (logits[likeliest] == Float.NEGATIVE_INFINITY) {
            throw new ConfigException(
                    "the settings of generation rule out every token; relax bad_words_ids,"
                            + " logit_bias, no_repeat_ngram_size or response_format");
        }
        int id = random == null ? likeliest : Candidates.of(logits, config).draw(random);
        if (mask != null && !ends.contains(id)) {
            mask.take(id);
        }
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
