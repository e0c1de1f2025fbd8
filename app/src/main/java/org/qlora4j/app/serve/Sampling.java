package org.qlora4j.app.serve;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import org.qlora4j.generate.GenerationConfig;
import tools.jackson.databind.JsonNode;

/**
 * The fields of a request that say how tokens are chosen: OpenAI's, and those of transformers that
 * vLLM takes too ({@code top_k}, {@code min_p}, {@code typical_p}, {@code repetition_penalty},
 * {@code min_tokens}, {@code no_repeat_ngram_size}, {@code stop_token_ids}).
 */
final class Sampling {
    /** Likeliest tokens that may be asked for beside each. */
    static final int MOST_TOP = 20;

    private static final int MOST_STOPS = 16;

    private Sampling() {}

    /**
     * Settings for an answer.
     *
     * @param maxTokens most tokens of the answer, at least 1
     * @param logprobs as {@link GenerationConfig#logprobs}
     * @param promptLogprobs as {@link GenerationConfig#promptLogprobs}
     */
    static GenerationConfig config(Fields fields, int maxTokens, int logprobs, int promptLogprobs) {
        return GenerationConfig.builder()
                .maxNewTokens(maxTokens)
                .minNewTokens(fields.integer("min_tokens", 0, 0, maxTokens))
                .temperatureOrGreedy(fields.number("temperature", 1, 0, 100))
                .topK(Math.max(0, fields.integer("top_k", 0, -1, Integer.MAX_VALUE)))
                .topP(fields.number("top_p", 1, 0, 1))
                .minP(fields.number("min_p", 0, 0, 1))
                .typicalP(fields.number("typical_p", 1, 1e-6, 1))
                .repetitionPenalty(fields.number("repetition_penalty", 1, 1e-3, 1e3))
                .presencePenalty(fields.number("presence_penalty", 0, -2, 2))
                .frequencyPenalty(fields.number("frequency_penalty", 0, -2, 2))
                .noRepeatNgramSize(fields.integer("no_repeat_ngram_size", 0, 0, 1 << 20))
                .logitBias(logitBias(fields))
                .stopStrings(fields.texts("stop", MOST_STOPS))
                .stopTokenIds(stopIds(fields))
                .logprobs(logprobs)
                .promptLogprobs(promptLogprobs)
                .seed(seed(fields))
                .build();
    }

    private static long seed(Fields fields) {
        JsonNode seed = fields.get("seed");
        if (seed == null) {
            return ThreadLocalRandom.current().nextLong();
        }
        if (!seed.isIntegralNumber()) {
            throw ApiError.field("seed", "seed must be an integer");
        }
        return seed.bigIntegerValue().longValue();
    }

    private static Map<Integer, Double> logitBias(Fields fields) {
        JsonNode bias = fields.get("logit_bias");
        Map<Integer, Double> out = new HashMap<>();
        if (bias == null) {
            return out;
        }
        if (!bias.isObject()) {
            throw ApiError.field("logit_bias", "logit_bias must be an object");
        }
        for (Map.Entry<String, JsonNode> e : bias.properties()) {
            double value = Fields.finite(e.getValue());
            if (!e.getKey().matches("\\d{1,9}") || !(value >= -100 && value <= 100)) {
                throw ApiError.field(
                        "logit_bias", "logit_bias must map token ids to numbers from -100 to 100");
            }
            out.put(Integer.valueOf(e.getKey()), value);
        }
        return out;
    }

    private static List<Integer> stopIds(Fields fields) {
        JsonNode ids = fields.get("stop_token_ids");
        if (ids == null) {
            return List.of();
        }
        if (!ids.isArray() || ids.valueStream().anyMatch(id -> !Fields.isInt(id))) {
            throw ApiError.field("stop_token_ids", "stop_token_ids must be a list of token ids");
        }
        return ids.valueStream().map(JsonNode::asInt).toList();
    }
}
