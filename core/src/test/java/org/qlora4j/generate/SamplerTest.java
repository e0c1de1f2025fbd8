package org.qlora4j.generate;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Objects;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.testing.TinyLlama;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class SamplerTest {
    private static final float RULED_OUT = Float.NEGATIVE_INFINITY;

    /** Logits of the probabilities 0.5, 0.3 and 0.2. */
    private static final float[] THREE = {logOf(0.5), logOf(0.3), logOf(0.2)};

    @Test
    void greedy_takesTheFirstOfTheLargest() {
        Sampler greedy = Sampler.of(GenerationConfig.DEFAULT);
        assertThat(greedy.next(new float[] {RULED_OUT, -2, 3, 1, 3})).isEqualTo(2);
        assertThat(greedy.next(new float[] {-1})).isEqualTo(0);
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
        Sampler sampler = Sampler.of(GenerationConfig.DEFAULT.sampling(temperature, topP, seed));
        int draws = 20_000;
        int[] counts = new int[3];
        for (int i = 0; i < draws; i++) {
            counts[sampler.next(THREE)]++;
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
    void nucleus_isThatOfTransformers() throws IOException {
        JsonNode cases;
        try (InputStream in = SamplerTest.class.getResourceAsStream("top_p.json")) {
            cases = new JsonMapper().readTree(Objects.requireNonNull(in));
        }
        assertThat(cases.size()).isEqualTo(7);
        for (JsonNode c : cases) {
            TopPSampler sampler =
                    new TopPSampler(c.get("temperature").asDouble(), c.get("top_p").asDouble(), 0);
            float[] logits = new float[c.get("logits").size()];
            for (int i = 0; i < logits.length; i++) {
                logits[i] = (float) c.get("logits").get(i).asDouble();
            }
            double[] p = sampler.softmax(logits);
            int[] kept = sampler.nucleus(logits, p);
            double sum = Arrays.stream(kept).mapToDouble(id -> p[id]).sum();
            for (int i = 1; i < kept.length; i++) {
                assertThat(logits[kept[i]]).isLessThanOrEqualTo(logits[kept[i - 1]]);
            }
            Arrays.sort(kept);
            assertThat(kept).isEqualTo(TinyLlama.ints(c.get("kept")));
            for (int i = 0; i < kept.length; i++) {
                assertThat(p[kept[i]] / sum)
                        .isCloseTo(c.get("probabilities").get(i).asDouble(), Offset.offset(1e-6));
            }
        }
    }

    @ParameterizedTest(name = "top_p {0} of four equal keeps {1}")
    @CsvSource({"0, 1", "0.2, 1", "0.25, 1", "0.26, 2", "0.5, 2", "0.75, 3", "0.76, 4", "0.99, 4"})
    void equalLogits_keepTheLowestIds(double topP, int kept) {
        float[] logits = {1, 1, RULED_OUT, 1, 1};
        TopPSampler sampler = new TopPSampler(1, topP, 0);
        assertThat(sampler.nucleus(logits, sampler.softmax(logits)))
                .isEqualTo(Arrays.copyOf(new int[] {0, 1, 3, 4}, kept));
    }

    @ParameterizedTest
    @CsvSource({"0", "0.5", "1"})
    void onlyOnePossibleToken_isDrawn(double topP) {
        float[] logits = {RULED_OUT, RULED_OUT, -1e30f, RULED_OUT};
        assertThat(new TopPSampler(1, topP, 3).next(logits)).isEqualTo(2);
        assertThat(new TopPSampler(1, topP, 3).next(new float[] {0})).isEqualTo(0);
    }

    @Test
    void extremeTemperatures_stayNumbers() {
        assertThat(new TopPSampler(1e-300, 1, 3).next(new float[] {-3e38f, 1, 3e38f})).isEqualTo(2);
        assertThat(new TopPSampler(1e300, 0.9, 3).next(new float[] {-3e38f, 3e38f}))
                .isBetween(0, 1);
    }

    @Test
    void zeros_ofBothSignsAreEqual() {
        TopPSampler sampler = new TopPSampler(1, 0.9, 0);
        float[] logits = {0f, -0f, 0f, -50, 50 - 50};
        assertThat(sampler.nucleus(logits, sampler.softmax(logits))).containsExactly(0, 1, 2, 4);
    }

    @Test
    void seed_repeatsTheDraws() {
        assertThat(draws(7)).isEqualTo(draws(7)).isNotEqualTo(draws(8));
    }

    private static int[] draws(long seed) {
        Sampler sampler = new TopPSampler(1, 0.95, seed);
        int[] out = new int[50];
        for (int i = 0; i < out.length; i++) {
            out[i] = sampler.next(THREE);
        }
        return out;
    }

    private static float logOf(double probability) {
        return (float) Math.log(probability);
    }
}
