package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.SoftTargets;
import org.qlora4j.tokenize.TokenRefinement;
import org.qlora4j.tokenize.TokenizerCut;

/**
 * Targets over the pieces of a cut vocabulary, against a count over everything a teacher may write.
 */
class TeacherTargetsTest {
    @TempDir Path folder;
    private TokenRefinement refinement;

    /** a, b, c, ab, abc, abab, cab of the teacher; a, b, c, ab of the student. */
    @BeforeEach
    void vocabularies() throws Exception {
        Path whole = Files.createDirectory(folder.resolve("whole"));
        Path cut = Files.createDirectory(folder.resolve("cut"));
        Files.writeString(
                whole.resolve("tokenizer.json"),
                """
                {"added_tokens": [], "model": {"type": "BPE",
                 "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "abab": 5, "cab": 6},
                 "merges": ["a b", "ab c", "ab ab", "c ab"]}}
                """);
        TokenizerCut plan = TokenizerCut.plan(whole, 4);
        assertThat(plan.keptIds()).containsExactly(0, 1, 2, 3);
        Files.writeString(cut.resolve("tokenizer.json"), plan.files(whole).get("tokenizer.json"));
        refinement = TokenRefinement.of(whole, cut);
        assertThat(refinement.pieces(5)).containsExactly(3, 3);
        assertThat(refinement.pieces(6)).containsExactly(2, 3);
    }

    /**
     * The probability of each next piece by enumeration: of a large number of tokens drawn as the
     * teacher says, how many begin with a prefix, and how do they go on?
     */
    @ParameterizedTest(name = "seed {0}")
    @ValueSource(longs = {1, 2, 3, 4, 5})
    void everyTokenAndPrefix_hasTheSharesCountedByHand(long seed) {
        Random random = new Random(seed);
        float[] p = new float[7];
        float sum = 0;
        for (int i = 0; i < 7; i++) {
            p[i] = random.nextFloat();
            sum += p[i];
        }
        int[] all = {0, 1, 2, 3, 4, 5, 6};
        for (int i = 0; i < 7; i++) {
            p[i] /= sum;
        }
        for (int actual = 0; actual < 7; actual++) {
            int[] pieces = refinement.pieces(actual);
            TeacherTargets targets = targets(pieces, all, p);
            assertThat(targets.length()).isEqualTo(1 + pieces.length);
            for (int i = 0; i < pieces.length; i++) {
                List<Integer> prefix = Arrays.stream(pieces).limit(i).boxed().toList();
                Map<Integer, Double> counted = new HashMap<>();
                double going = 0;
                for (int t = 0; t < 7; t++) {
                    List<Integer> written = Arrays.stream(refinement.pieces(t)).boxed().toList();
                    if (written.size() > i && written.subList(0, i).equals(prefix)) {
                        counted.merge(written.get(i), (double) p[t], Double::sum);
                        going += p[t];
                    }
                }
                Map<Integer, Double> got = at(targets, 1 + i);
                assertThat(got.keySet()).isEqualTo(counted.keySet());
                for (int id : counted.keySet()) {
                    assertThat(got.get(id))
                            .isCloseTo(counted.getOrDefault(id, 0.0) / going, offset(1e-6));
                }
            }
        }
    }

    @Test
    void restOfTheMass_isLeftOutAndLikelyOnesSumTo1() {
        TeacherTargets targets =
                targets(new int[] {3, 2}, new int[] {5, 0}, new float[] {0.3f, 0.1f});
        assertThat(at(targets, 1).get(3)).isCloseTo(0.75, offset(1e-6));
        assertThat(at(targets, 1).get(0)).isCloseTo(0.25, offset(1e-6));
        // of the likely ones, only abab goes on after ab
        assertThat(at(targets, 2)).isEqualTo(Map.of(3, 1.0));
    }

    @Test
    void noLikelyTokenWithThePrefix_leavesItToTheLabel() {
        TeacherTargets targets =
                targets(new int[] {2, 3}, new int[] {0, 2}, new float[] {0.5f, 0.5f});
        assertThat(at(targets, 1)).containsOnlyKeys(0, 2);
        assertThat(at(targets, 2)).isEmpty();
    }

    @Test
    void inABatch_targetsStandOnePlaceBeforeTheirTokens() {
        TeacherTargets targets =
                targets(new int[] {3, 3}, new int[] {5, 0}, new float[] {0.6f, 0.4f});
        SoftTargets batch = SoftTargets.none(8, 3);
        targets.copyTo(batch, 4);
        assertThat(batch.probabilities())
                .containsExactly(
                        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
                        0.6f, 0.4f, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
        assertThat(batch.ids()).startsWith(new int[12]).contains(3, 0, 3);
    }

    private TeacherTargets targets(int[] pieces, int[] likely, float[] p) {
        var builder = new TeacherTargets.Builder(refinement);
        builder.none(); // the first token of a text
        builder.token(pieces, likely, p);
        return builder.build();
    }

    private static Map<Integer, Double> at(TeacherTargets targets, int token) {
        Map<Integer, Double> out = new HashMap<>();
        for (int i = targets.offsets()[token]; i < targets.offsets()[token + 1]; i++) {
            out.put(targets.ids()[i], (double) targets.probabilities()[i]);
        }
        return out;
    }
}
