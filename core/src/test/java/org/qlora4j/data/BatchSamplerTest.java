package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;

class BatchSamplerTest {
    private static int[] order(BatchSampler sampler, int epoch) {
        return sampler.batchesOf(epoch).stream()
                .flatMap(Arrays::stream)
                .flatMapToInt(Arrays::stream)
                .toArray();
    }

    static Stream<Arguments> grouped() {
        return References.json("grouped.json.gz")
                .valueStream()
                .map(c ->
                        Arguments.of(
                                c.get("lengths").size(),
                                c.get("batch").asInt(),
                                c.get("accumulation").asInt(),
                                c.get("seed").asLong(),
                                c));
    }

    @ParameterizedTest(name = "{0} examples, batch {1}, accumulation {2}, seed {3}")
    @MethodSource("grouped")
    void groupByLength_equalsTransformers(
            int n, int batch, int accumulation, long seed, JsonNode expected) {
        int[] lengths = References.ints(expected.get("lengths"));
        BatchSampler sampler = new BatchSampler(lengths, true, batch, accumulation, seed);
        assertThat(order(sampler, 0)).isEqualTo(References.ints(expected.get("order")));
        // Epoch e is epoch 0 of the seed e higher.
        assertThat(order(new BatchSampler(lengths, true, batch, accumulation, seed - 2), 2))
                .isEqualTo(order(sampler, 0));
    }

    @Test
    void plainOrder_isTorchRandpermOfSeedPlusEpoch() {
        BatchSampler sampler = new BatchSampler(new int[10], false, 3, 2, 42);
        assertThat(order(sampler, 0)).containsExactly(2, 6, 1, 8, 4, 5, 0, 9, 3, 7);
        assertThat(order(new BatchSampler(new int[10], false, 3, 2, -3), 3))
                .containsExactly(4, 1, 7, 5, 3, 9, 0, 8, 6, 2);
        assertThat(sampler.batchesOf(0).stream().map(b -> b.length)).containsExactly(3, 3, 3, 1);
    }

    @Test
    void everyEpoch_holdsEveryExampleOnce() {
        int[] lengths = IntStream.range(0, 101).map(i -> i % 7).toArray();
        for (boolean grouped : new boolean[] {false, true}) {
            BatchSampler sampler = new BatchSampler(lengths, grouped, 4, 3, 1);
            for (int epoch : new int[] {0, 1, 5}) {
                assertThat(order(sampler, epoch))
                        .containsExactlyInAnyOrder(IntStream.range(0, 101).toArray());
            }
            assertThat(order(sampler, 0)).isNotEqualTo(order(sampler, 1));
        }
    }

    @Test
    void stepAskedForAtRandom_equalsStepReachedInOrder() {
        BatchSampler walked = new BatchSampler(new int[23], false, 2, 5, 7);
        // 12 batches an epoch: 5, 5 and 2 make its 3 steps.
        assertThat(walked.batchesPerEpoch()).isEqualTo(12);
        assertThat(walked.stepsPerEpoch()).isEqualTo(3);
        List<int[][]> batches = new ArrayList<>();
        for (int epoch = 0; epoch < 4; epoch++) {
            batches.addAll(walked.batchesOf(epoch));
        }
        for (long step : new long[] {11, 0, 5, 2, 10, 3}) {
            StepPlan plan = new BatchSampler(new int[23], false, 2, 5, 7).stepAt(step);
            int epoch = (int) step / 3;
            int first = (int) step % 3 * 5;
            int count = step % 3 == 2 ? 2 : 5;
            assertThat(plan.epoch()).isEqualTo(epoch);
            assertThat(plan.firstBatch()).isEqualTo(first);
            assertThat(plan.batches().toArray(int[][][]::new))
                    .isDeepEqualTo(
                            batches.subList(epoch * 12 + first, epoch * 12 + first + count)
                                    .toArray(int[][][]::new));
        }
    }

    @Test
    void accumulationBeyondTheEpoch_givesOneShortStep() {
        BatchSampler sampler = new BatchSampler(new int[] {3, 9, 5}, true, 1, 16, 0);
        assertThat(sampler.stepsPerEpoch()).isEqualTo(1);
        assertThat(sampler.stepAt(4).batches().toArray(int[][][]::new))
                .isDeepEqualTo(new int[][][] {{{1}}, {{2}}, {{0}}});
        assertThat(sampler.stepAt(4).epoch()).isEqualTo(4);
    }

    @Test
    void nothingToSample_isRefused() {
        assertThatThrownBy(() -> new BatchSampler(new int[0], true, 1, 1, 0))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new BatchSampler(new int[1], true, 0, 1, 0))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void packedRows_holdEveryExampleOnceInEveryEpochAndNoMoreThanTheLimit() {
        int[] lengths = new Random(3).ints(200, 1, 65).toArray();
        BatchSampler sampler = BatchSampler.packing(lengths, 64, 4, 2, 9);
        assertThat(sampler.rows()).isLessThan(120);
        assertThat(sampler.batchesPerEpoch()).isEqualTo(Math.ceilDiv(sampler.rows(), 4));
        for (int epoch : new int[] {0, 1, 5}) {
            assertThat(order(sampler, epoch))
                    .containsExactlyInAnyOrder(IntStream.range(0, 200).toArray());
            assertThat(sampler.batchesOf(epoch)).hasSize(sampler.batchesPerEpoch());
            assertThat(sampler.batchesOf(epoch).stream().flatMap(Arrays::stream))
                    .hasSize(sampler.rows())
                    .allSatisfy(row ->
                            assertThat(Arrays.stream(row).map(i -> lengths[i]).sum())
                                    .isBetween(1, 64));
        }
        assertThat(order(sampler, 0)).isNotEqualTo(order(sampler, 1));
        long steps = sampler.stepsPerEpoch();
        assertThat(BatchSampler.packing(lengths, 64, 4, 2, 9).stepAt(3 * steps + 1).batches())
                .usingRecursiveComparison()
                .isEqualTo(sampler.stepAt(3 * steps + 1).batches());
    }
}
