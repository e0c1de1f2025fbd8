package org.qlora4j.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.Tape;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.Models;
import org.qlora4j.generate.TextScorer.Score;
import org.qlora4j.generate.TextScorer.Text;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.TinyLlama;

/** On a model of 27,000 weights, beside each text alone in a whole forward pass. */
class TextScorerTest {
    private static final QuantConfig NOT_QUANTIZED =
            new QuantConfig(
                    false, QuantConfig.DEFAULT.type(), false, QuantConfig.DEFAULT.blockSize());
    private static final CausalModel MODEL =
            Models.load(TinyLlama.folder(), NOT_QUANTIZED, DType.F32);

    @AfterAll
    static void free() {
        MODEL.close();
    }

    /**
     * Texts that begin alike in many ways: equal, one the beginning of another, one token apart.
     */
    private static List<Text> texts(int seed) {
        Random random = new Random(seed);
        List<int[]> bases = new ArrayList<>();
        for (int length : new int[] {1, 20, 33, 50}) {
            bases.add(random.ints(length, 3, 155).toArray());
        }
        List<Text> texts = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            int[] base = bases.get(random.nextInt(bases.size()));
            int kept = 1 + random.nextInt(base.length);
            int more = 1 + random.nextInt(4);
            int[] ids = Arrays.copyOf(base, kept + more);
            for (int t = kept; t < ids.length; t++) {
                ids[t] = 3 + random.nextInt(2);
            }
            int from = random.nextInt(5) == 0 ? 1 : Math.max(1, ids.length - 1 - random.nextInt(3));
            texts.add(new Text(ids, from));
        }
        texts.add(texts.getFirst());
        return texts;
    }

    /** log p by a whole forward pass and a sum in f64. */
    private static double[] alone(Text text) {
        int time = text.ids().length - 1;
        long[] ids = Arrays.stream(text.ids()).limit(time).asLongStream().toArray();
        double[] out = new double[text.ids().length - text.from()];
        try (TensorScope scope = TensorScope.open();
                BatchContext seen = BatchContext.of(1, time);
                Tape tape = Tape.inference()) {
            Tensor input = tape.keep(Tensors.of(ids, 1, time));
            Tensor logits = MODEL.logits(MODEL.hidden(tape, input, seen, false).value());
            for (int i = 0; i < out.length; i++) {
                float[] row = logits.select(0, text.from() + i - 1).toFloats();
                double sum = 0;
                for (float logit : row) {
                    sum += Math.exp(logit);
                }
                out[i] = row[text.ids()[text.from() + i]] - Math.log(sum);
            }
        }
        return out;
    }

    private static List<Score> scores(List<Text> texts, int tokensAtOnce) {
        List<Score> out = new ArrayList<>(Collections.nCopies(texts.size(), null));
        new TextScorer(MODEL, tokensAtOnce)
                .score(texts, (i, score) -> assertThat(out.set(i, score)).isNull());
        return out;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 40, 100, 4096})
    void textsThatShareBeginnings_areScoredAsAlone(int tokensAtOnce) {
        for (int seed = 0; seed < 4; seed++) {
            List<Text> texts = texts(seed);
            List<Score> got = scores(texts, tokensAtOnce);
            for (int i = 0; i < texts.size(); i++) {
                double[] expected = alone(texts.get(i));
                float[] logs = got.get(i).logProbabilities();
                assertThat(logs).hasSize(expected.length);
                for (int t = 0; t < logs.length; t++) {
                    assertThat((double) logs[t])
                            .as("seed %d, text %d, token %d", seed, i, t)
                            .isCloseTo(expected[t], within(2e-5));
                }
            }
        }
    }

    /** Each distinct beginning is computed once: a tree has no more tokens than a trie of them. */
    @Test
    void tree_hasEachBeginningOnce() {
        List<Text> texts = texts(1);
        List<Text> sorted = new ArrayList<>(texts);
        sorted.sort((a, b) ->
                Arrays.compare(a.ids(), 0, a.ids().length - 1, b.ids(), 0, b.ids().length - 1));
        long distinct =
                texts.stream()
                        .flatMap(text ->
                                java.util.stream.IntStream.range(1, text.ids().length)
                                        .mapToObj(
                                                n -> Arrays.toString(Arrays.copyOf(text.ids(), n))))
                        .distinct()
                        .count();
        assertThat(PrefixTree.of(sorted, 0).tokens()).isEqualTo((int) distinct);
    }

    @Test
    void likeliestToken_isThatOfGreedyDecoding() {
        int[] prompt = texts(2).get(3).ids();
        Generation greedy =
                new Generator(MODEL)
                        .generate(
                                prompt,
                                GenerationConfig.DEFAULT.withMaxNewTokens(5).withMinNewTokens(5),
                                id -> true);
        int[] ids = Arrays.copyOf(prompt, prompt.length + 5);
        for (int i = 0; i < 5; i++) {
            ids[prompt.length + i] = greedy.tokens().get(i);
        }
        Score score = scores(List.of(new Text(ids, prompt.length)), 64).getFirst();
        assertThat(score.likeliest()).isEqualTo(Arrays.copyOfRange(ids, prompt.length, ids.length));
    }

    @Test
    void scoring_leavesNoNativeMemory() {
        long freed = NativeMemory.freedBySafetyNet();
        scores(texts(3), 16);
        assertThat(NativeMemory.freedBySafetyNet()).isEqualTo(freed);
    }

    @Test
    void badTexts_areRefused() {
        assertThatThrownBy(() -> scores(List.of(new Text(new int[] {1, 999}, 1)), 8))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("token id 999");
        assertThatThrownBy(() -> scores(List.of(new Text(new int[66], 1)), 8))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("context of 64");
    }
}
