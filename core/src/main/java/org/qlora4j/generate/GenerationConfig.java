package org.qlora4j.generate;

import static org.qlora4j.error.Require.require;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * How a continuation is chosen and when it ends; names and meaning are those of transformers'
 * {@code GenerationConfig}, the order in which the settings work too. Penalties of presence and
 * frequency are OpenAI's.
 *
 * @param maxNewTokens most tokens to generate, at least 1
 * @param minNewTokens tokens before which the text cannot end, from 0 to {@code maxNewTokens}
 * @param doSample false takes the likeliest token every time, and the next five do not matter
 * @param temperature logits are divided by it; above 0
 * @param topK tokens less likely than the k-th are never drawn; 0 for all
 * @param topP tokens outside the smallest set of this probability are never drawn (arXiv
 *     1904.09751); in [0, 1]
 * @param minP tokens less likely than this share of the likeliest are never drawn (arXiv
 *     2407.01082); in [0, 1]
 * @param typicalP only the tokens whose surprise is nearest the expected one are drawn, up to this
 *     probability (arXiv 2202.00666); in (0, 1]
 * @param repetitionPenalty logits of tokens in prompt and text are divided by it, or multiplied
 *     where negative (arXiv 1909.05858); above 0
 * @param presencePenalty taken off the logit of each token in the text
 * @param frequencyPenalty taken off the logit of each token for each time it is in the text
 * @param noRepeatNgramSize sequences of so many tokens come once in prompt and text; 0 for no rule
 * @param logitBias added to logits, by token id
 * @param badWordsIds sequences of ids that are never completed
 * @param stopTokenIds ids that end a text, besides the model's own
 * @param stopStrings texts before which an answer ends; users of ids alone do not see them
 * @param logprobs how many of the likeliest tokens are told with each token, besides the token's
 *     own log-probability; -1 for none of both
 * @param promptLogprobs the same for the tokens of the prompt but the first; -1 for none
 * @param seed repeats a drawn text on the same machine
 */
public record GenerationConfig(
        int maxNewTokens,
        int minNewTokens,
        boolean doSample,
        double temperature,
        int topK,
        double topP,
        double minP,
        double typicalP,
        double repetitionPenalty,
        double presencePenalty,
        double frequencyPenalty,
        int noRepeatNgramSize,
        Map<Integer, Double> logitBias,
        List<List<Integer>> badWordsIds,
        List<Integer> stopTokenIds,
        List<String> stopStrings,
        int logprobs,
        int promptLogprobs,
        long seed) {
    public static final GenerationConfig DEFAULT = new Builder().build();

    public GenerationConfig {
        logitBias = Collections.unmodifiableMap(new TreeMap<>(logitBias));
        badWordsIds = badWordsIds.stream().map(List::copyOf).toList();
        stopTokenIds = List.copyOf(stopTokenIds);
        stopStrings = List.copyOf(stopStrings);
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
        require(topK >= 0, "generation.top_k must be at least 0, got %d", topK);
        require(topP >= 0 && topP <= 1, "generation.top_p must be in [0, 1], got %s", topP);
        require(minP >= 0 && minP <= 1, "generation.min_p must be in [0, 1], got %s", minP);
        require(
                typicalP > 0 && typicalP <= 1,
                "generation.typical_p must be in (0, 1], got %s",
                typicalP);
        require(
                repetitionPenalty > 0 && repetitionPenalty < Double.POSITIVE_INFINITY,
                "generation.repetition_penalty must be above 0, got %s",
                repetitionPenalty);
        require(
                Double.isFinite(presencePenalty) && Double.isFinite(frequencyPenalty),
                "generation.presence_penalty and frequency_penalty must be numbers, got %s and %s",
                presencePenalty,
                frequencyPenalty);
        require(
                noRepeatNgramSize >= 0,
                "generation.no_repeat_ngram_size must be at least 0, got %d",
                noRepeatNgramSize);
        require(
                logitBias.values().stream().noneMatch(bias -> bias.isNaN()),
                "generation.logit_bias must hold numbers, got %s",
                logitBias);
        require(
                badWordsIds.stream().noneMatch(List::isEmpty),
                "generation.bad_words_ids must hold sequences of at least one id, got %s",
                badWordsIds);
        require(
                stopStrings.stream().noneMatch(String::isEmpty),
                "generation.stop_strings must not be empty");
        require(logprobs >= -1, "generation.logprobs must be at least 0, got %d", logprobs);
        require(
                promptLogprobs >= -1,
                "generation.prompt_logprobs must be at least 0, got %d",
                promptLogprobs);
    }

    public GenerationConfig withMaxNewTokens(int tokens) {
        return toBuilder().maxNewTokens(tokens).build();
    }

    public GenerationConfig withMinNewTokens(int tokens) {
        return toBuilder().minNewTokens(tokens).build();
    }

    public GenerationConfig withSeed(long newSeed) {
        return toBuilder().seed(newSeed).build();
    }

    /** The same limits, with every token the likeliest. */
    public GenerationConfig greedy() {
        return toBuilder().doSample(false).build();
    }

    /** The same limits, with every token drawn. */
    public GenerationConfig sampling(double newTemperature, double newTopP, long newSeed) {
        return toBuilder()
                .doSample(true)
                .temperature(newTemperature)
                .topP(newTopP)
                .seed(newSeed)
                .build();
    }

    /** The defaults, to be changed. */
    public static Builder builder() {
        return new Builder();
    }

    /** These settings, to be changed. */
    public Builder toBuilder() {
        Builder b = new Builder();
        b.maxNewTokens = maxNewTokens;
        b.minNewTokens = minNewTokens;
        b.doSample = doSample;
        b.temperature = temperature;
        b.topK = topK;
        b.topP = topP;
        b.minP = minP;
        b.typicalP = typicalP;
        b.repetitionPenalty = repetitionPenalty;
        b.presencePenalty = presencePenalty;
        b.frequencyPenalty = frequencyPenalty;
        b.noRepeatNgramSize = noRepeatNgramSize;
        b.logitBias = logitBias;
        b.badWordsIds = badWordsIds;
        b.stopTokenIds = stopTokenIds;
        b.stopStrings = stopStrings;
        b.logprobs = logprobs;
        b.promptLogprobs = promptLogprobs;
        b.seed = seed;
        return b;
    }

    /** Settings one by one; those not named keep their defaults. */
    public static final class Builder {
        private int maxNewTokens = 256;
        private int minNewTokens = 0;
        private boolean doSample = false;
        private double temperature = 1;
        private int topK = 0;
        private double topP = 1;
        private double minP = 0;
        private double typicalP = 1;
        private double repetitionPenalty = 1;
        private double presencePenalty = 0;
        private double frequencyPenalty = 0;
        private int noRepeatNgramSize = 0;
        private Map<Integer, Double> logitBias = Map.of();
        private List<List<Integer>> badWordsIds = List.of();
        private List<Integer> stopTokenIds = List.of();
        private List<String> stopStrings = List.of();
        private int logprobs = -1;
        private int promptLogprobs = -1;
        private long seed = 0;

        private Builder() {}

        public Builder maxNewTokens(int value) {
            maxNewTokens = value;
            return this;
        }

        public Builder minNewTokens(int value) {
            minNewTokens = value;
            return this;
        }

        public Builder doSample(boolean value) {
            doSample = value;
            return this;
        }

        public Builder temperature(double value) {
            temperature = value;
            return this;
        }

        /** Draws at a temperature; 0 takes the likeliest token every time, as in OpenAI's API. */
        public Builder temperatureOrGreedy(double value) {
            doSample = value > 0;
            temperature = doSample ? value : 1;
            return this;
        }

        public Builder topK(int value) {
            topK = value;
            return this;
        }

        public Builder topP(double value) {
            topP = value;
            return this;
        }

        public Builder minP(double value) {
            minP = value;
            return this;
        }

        public Builder typicalP(double value) {
            typicalP = value;
            return this;
        }

        public Builder repetitionPenalty(double value) {
            repetitionPenalty = value;
            return this;
        }

        public Builder presencePenalty(double value) {
            presencePenalty = value;
            return this;
        }

        public Builder frequencyPenalty(double value) {
            frequencyPenalty = value;
            return this;
        }

        public Builder noRepeatNgramSize(int value) {
            noRepeatNgramSize = value;
            return this;
        }

        public Builder logitBias(Map<Integer, Double> value) {
            logitBias = value;
            return this;
        }

        public Builder badWordsIds(List<List<Integer>> value) {
            badWordsIds = value;
            return this;
        }

        public Builder stopTokenIds(List<Integer> value) {
            stopTokenIds = value;
            return this;
        }

        public Builder stopStrings(List<String> value) {
            stopStrings = value;
            return this;
        }

        public Builder logprobs(int value) {
            logprobs = value;
            return this;
        }

        public Builder promptLogprobs(int value) {
            promptLogprobs = value;
            return this;
        }

        public Builder seed(long value) {
            seed = value;
            return this;
        }

        /**
         * The settings.
         *
         * @throws org.qlora4j.error.ConfigException naming a value that is out of range
         */
        public GenerationConfig build() {
            return new GenerationConfig(
                    maxNewTokens,
                    minNewTokens,
                    doSample,
                    temperature,
                    topK,
                    topP,
                    minP,
                    typicalP,
                    repetitionPenalty,
                    presencePenalty,
                    frequencyPenalty,
                    noRepeatNgramSize,
                    logitBias,
                    badWordsIds,
                    stopTokenIds,
                    stopStrings,
                    logprobs,
                    promptLogprobs,
                    seed);
        }
    }
}
