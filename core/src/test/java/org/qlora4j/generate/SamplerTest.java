package org.qlora4j.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.family.Models;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.testing.PackedJson;
import org.qlora4j.testing.TinyLlama;
import tools.jackson.databind.JsonNode;

class SamplerTest {
    private static final float RULED_OUT = Float.NEGATIVE_INFINITY;

    /** Logits of the probabilities 0.5, 0.3 and 0.2. */
    private static final float[] THREE = {logOf(0.5), logOf(0.3), logOf(0.2)};

    @Test
    void greedy_takesTheFirstOfTheLargest() {
        Sampler greedy = sampler(GenerationConfig.DEFAULT);
        assertThat(next(greedy, RULED_OUT, -2, 3, 1, 3)).isEqualTo(2);
        assertThat(next(greedy, -1)).isEqualTo(0);
    }

    private static Sampler sampler(GenerationConfig config) {
        return new Sampler(config, new int[] {0}, Set.of());
    }

    private static Sampler drawing(double temperature, double topP, long seed) {
        return sampler(GenerationConfig.DEFAULT.sampling(temperature, topP, seed));
    }

    private static int next(Sampler sampler, float... logits) {
        return sampler.next(logits.clone(), List.of()).id();
    }

    private static Candidates nucleus(float[] logits, double temperature, double topP) {
        return Candidates.of(logits, GenerationConfig.DEFAULT.sampling(temperature, topP, 0));
    }

    @ParameterizedTest(name = "temperature {0}, top_p {1}, seed {5}")
    @CsvSource({
        "1, 1, 0.5, 0.3, 0.2, 1",
        "0.5, 1, 0.6578947, 0.2368421, 0.1052632, 2", // squares: 25, 9, 4 of 38
        "2, 1, 0.4154, 0.3218, 0.2628, 3", // square roots
        "1, 0.7, 0.625, 0.375, 0, 4", // without the third
        "1, 0.9, 0.5, 0.3, 0.2, 5",
        "1, 0.4, 1, 0, 0, 6",
    })
    void draws_haveTheProbabilities(
            double temperature, double topP, double p0, double p1, double p2, long seed) {
        Sampler sampler = drawing(temperature, topP, seed);
        int draws = 20_000;
        int[] counts = new int[3];
        for (int i = 0; i < draws; i++) {
            counts[next(sampler, THREE)]++;
        }
        double chiSquare = 0;
        double[] expected = {p0, p1, p2};
        for (int i = 0; i < 3; i++) {
            if (expected[i] == 0) {
                assertThat(counts[i]).isZero();
            } else {
                double difference = counts[i] - draws * expected[i];
                chiSquare += difference * difference / (draws * expected[i]);
            }
        }
        // 2 degrees of freedom: above 13.8 once in a thousand seeds
        assertThat(chiSquare).as("counts %s", Arrays.toString(counts)).isLessThan(13.8);
    }

    @Test
    void nucleus_isThatOfTransformers() {
        JsonNode cases = PackedJson.resource(SamplerTest.class, "top_p.json.gz");
        assertThat(cases.size()).isEqualTo(7);
        for (JsonNode c : cases) {
            float[] logits = new float[c.get("logits").size()];
            for (int i = 0; i < logits.length; i++) {
                logits[i] = (float) c.get("logits").get(i).asDouble();
            }
            Candidates left =
                    nucleus(logits, c.get("temperature").asDouble(), c.get("top_p").asDouble());
            int[] kept = left.ids();
            for (int i = 1; i < kept.length; i++) {
                assertThat(logits[kept[i]]).isLessThanOrEqualTo(logits[kept[i - 1]]);
            }
            assertLeft(left, c);
        }
    }

    /** Ids and probabilities, in any order. */
    private static void assertLeft(Candidates left, JsonNode expected) {
        Map<Integer, Double> byId = new TreeMap<>();
        for (int i = 0; i < left.ids().length; i++) {
            byId.put(left.ids()[i], left.probabilities()[i]);
        }
        assertThat(byId.keySet()).containsExactly(boxed(expected.get("kept")));
        int i = 0;
        for (double p : byId.values()) {
            assertThat(p)
                    .isCloseTo(
                            expected.get("probabilities").get(i++).asDouble(), Offset.offset(1e-6));
        }
    }

    private static Integer[] boxed(JsonNode ids) {
        return Arrays.stream(TinyLlama.ints(ids)).boxed().toArray(Integer[]::new);
    }

    static List<JsonNode> references(String key) throws IOException {
        JsonNode all = PackedJson.resource(SamplerTest.class, "sampling.json.gz");
        return all.get(key).valueStream().toList();
    }

    static List<JsonNode> cases() throws IOException {
        return references("cases");
    }

    /** Settings under transformers' names. */
    private static GenerationConfig config(JsonNode settings) {
        GenerationConfig.Builder config = GenerationConfig.builder();
        for (Map.Entry<String, JsonNode> e : settings.properties()) {
            JsonNode value = e.getValue();
            switch (e.getKey()) {
                case "temperature" -> config.temperature(value.asDouble());
                case "top_k" -> config.topK(value.asInt());
                case "top_p" -> config.topP(value.asDouble());
                case "min_p" -> config.minP(value.asDouble());
                case "typical_p" -> config.typicalP(value.asDouble());
                case "repetition_penalty" -> config.repetitionPenalty(value.asDouble());
                case "no_repeat_ngram_size" -> config.noRepeatNgramSize(value.asInt());
                case "min_new_tokens" -> config.minNewTokens(value.asInt());
                case "bad_words_ids" ->
                        config.badWordsIds(
                                value.valueStream().map(w -> List.of(boxed(w))).toList());
                case "logit_bias" -> {
                    Map<Integer, Double> bias = new TreeMap<>();
                    value.properties()
                            .forEach(b ->
                                    bias.put(Integer.valueOf(b.getKey()), b.getValue().asDouble()));
                    config.logitBias(bias);
                }
                default -> throw new IllegalArgumentException(e.getKey());
            }
        }
        return config.build();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void settings_leaveTheTokensOfTransformers(JsonNode c) {
        GenerationConfig config = config(c.get("settings"));
        float[] logits = new float[c.get("logits").size()];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) c.get("logits").get(i).asDouble();
        }
        new LogitRules(config, TinyLlama.ints(c.get("prompt")), Set.of(2))
                .apply(logits, List.of(boxed(c.get("tokens"))));
        assertLeft(Candidates.of(logits, config), c);
    }

    static List<JsonNode> texts() throws IOException {
        return references("texts");
    }

    @ParameterizedTest
    @MethodSource("texts")
    void rulesOnTheTextSoFar_giveTheTextOfTransformers(JsonNode c) {
        QuantConfig whole = QuantConfig.DEFAULT.withLoad4bit(false);
        try (CausalModel model = Models.load(TinyLlama.folder(), whole, DType.F32)) {
            GenerationConfig config =
                    config(c.get("settings")).toBuilder().maxNewTokens(30).minNewTokens(30).build();
            Generation text =
                    new Generator(model)
                            .generate(TinyLlama.ints(c.get("prompt")), config, id -> true);
            assertThat(text.tokens()).containsExactly(boxed(c.get("tokens")));
        }
    }

    /** OpenAI's rule: {@code logit - presence - count * frequency}, of the answer alone. */
    @Test
    void presenceAndFrequency_areTakenOffTheLogitsOfTheAnswersTokens() {
        GenerationConfig config =
                GenerationConfig.builder().presencePenalty(0.5).frequencyPenalty(0.25).build();
        float[] logits = {1, 2, -3, 4};
        new LogitRules(config, new int[] {0, 0}, Set.of()).apply(logits, List.of(1, 2, 2));
        assertThat(logits).containsExactly(1, 1.25f, -4, 4);
    }

    @Test
    void logprobs_areThoseOfTheModelAlone() {
        GenerationConfig config =
                GenerationConfig.builder().logprobs(2).logitBias(Map.of(2, 100.0)).build();
        Token token = sampler(config).next(THREE.clone(), List.of());
        assertThat(token.id()).isEqualTo(2);
        assertThat(token.logprob()).isCloseTo(Math.log(0.2), Offset.offset(1e-6));
        assertThat(token.top()).extracting(Token.Scored::id).containsExactly(0, 1);
        assertThat(token.top().get(1).logprob()).isCloseTo(Math.log(0.3), Offset.offset(1e-6));
    }

    @Test
    void topLogprobs_areTheLikeliestInFallingOrder() {
        float[] logits = {0, 3, 1, 3, -2, 2.5f};
        Token token = new Logprobs(logits).token(4, 4);
        assertThat(token.top()).extracting(Token.Scored::id).containsExactly(1, 3, 5, 2);
        assertThat(new Logprobs(logits).token(4, 9).top())
                .extracting(Token.Scored::id)
                .containsExactly(1, 3, 5, 2, 0, 4);
        assertThat(new Logprobs(logits).token(4, 0).top()).isEmpty();
    }

    @Test
    void everyTokenRuledOut_isAnError() {
        GenerationConfig config =
                GenerationConfig.builder()
                        .badWordsIds(List.of(List.of(0), List.of(1), List.of(2)))
                        .build();
        assertThatThrownBy(() -> next(sampler(config), THREE))
                .isInstanceOf(ConfigException.class)
                .hasMessageStartingWith("the settings of generation rule out every token");
    }

    @ParameterizedTest(name = "top_p {0} of four equal keeps {1}")
    @CsvSource({"0, 1", "0.2, 1", "0.25, 1", "0.26, 2", "0.5, 2", "0.75, 3", "0.76, 4", "0.99, 4"})
    void equalLogits_keepTheLowestIds(double topP, int kept) {
        float[] logits = {1, 1, RULED_OUT, 1, 1};
        assertThat(nucleus(logits, 1, topP).ids())
                .isEqualTo(Arrays.copyOf(new int[] {0, 1, 3, 4}, kept));
    }

    @ParameterizedTest
    @CsvSource({"0", "0.5", "1"})
    void onlyOnePossibleToken_isDrawn(double topP) {
        float[] logits = {RULED_OUT, RULED_OUT, -1e30f, RULED_OUT};
        assertThat(next(drawing(1, topP, 3), logits)).isEqualTo(2);
        assertThat(next(drawing(1, topP, 3), 0)).isEqualTo(0);
    }

    @Test
    void extremeTemperatures_stayNumbers() {
        assertThat(next(drawing(1e-300, 1, 3), -3e38f, 1, 3e38f)).isEqualTo(2);
        assertThat(next(drawing(1e300, 0.9, 3), -3e38f, 3e38f)).isBetween(0, 1);
    }

    @Test
    void zeros_ofBothSignsAreEqual() {
        float[] logits = {0f, -0f, 0f, -50, 50 - 50};
        assertThat(nucleus(logits, 1, 0.9).ids()).containsExactly(0, 1, 2, 4);
    }

    @Test
    void seed_repeatsTheDraws() {
        assertThat(draws(7)).isEqualTo(draws(7)).isNotEqualTo(draws(8));
    }

    private static int[] draws(long seed) {
        Sampler sampler = drawing(1, 0.95, seed);
        int[] out = new int[50];
        for (int i = 0; i < out.length; i++) {
            out[i] = next(sampler, THREE);
        }
        return out;
    }

    private static float logOf(double probability) {
        return (float) Math.log(probability);
    }
}
