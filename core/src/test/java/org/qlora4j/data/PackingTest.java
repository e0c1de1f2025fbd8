package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class PackingTest {
    private static int[] inOrder(int n) {
        return IntStream.range(0, n).toArray();
    }

    /**
     * Worked by hand: 6, 5 and 4 open rows of 10 with 4, 5 and then none left, for 4 fits the first
     * exactly; 3 fits the second, 2 its rest exactly, 1 opens a row.
     */
    @Test
    void bestFitDecreasing_choosesTheFullestRowWithRoom() {
        int[] lengths = {1, 4, 5, 2, 6, 3};
        assertThat(Packing.rows(lengths, inOrder(6), 10))
                .isDeepEqualTo(new int[][] {{4, 1}, {2, 5, 3}, {0}});
    }

    @Test
    void exampleBeyondTheLimit_isARowByItself() {
        assertThat(Packing.rows(new int[] {3, 12, 10}, inOrder(3), 10))
                .isDeepEqualTo(new int[][] {{1}, {2}, {0}});
    }

    @Test
    void order_tellsExamplesOfOneLengthApartAndLeavesTheShapesOfRows() {
        int[] lengths = new Random(1).ints(500, 1, 90).toArray();
        int[][] first = Packing.rows(lengths, inOrder(500), 100);
        int[] reversed = IntStream.range(0, 500).map(i -> 499 - i).toArray();
        int[][] second = Packing.rows(lengths, reversed, 100);
        assertThat(second).isNotEqualTo(first);
        assertThat(lengthsOf(second, lengths)).isDeepEqualTo(lengthsOf(first, lengths));
    }

    private static int[][] lengthsOf(int[][] rows, int[] lengths) {
        return Arrays.stream(rows)
                .map(row -> Arrays.stream(row).map(i -> lengths[i]).toArray())
                .toArray(int[][]::new);
    }

    /** No packing needs fewer rows than the tokens fill. */
    @Test
    void lognormalLengths_fillRowsNearly() {
        Random random = new Random(7);
        int[] lengths =
                IntStream.range(0, 2000)
                        .map(i ->
                                (int)
                                        Math.clamp(
                                                Math.exp(4.3 + 0.8 * random.nextGaussian()),
                                                1,
                                                512))
                        .toArray();
        int[][] rows = Packing.rows(lengths, inOrder(2000), 512);
        assertThat(Arrays.stream(rows).flatMapToInt(Arrays::stream).toArray())
                .containsExactlyInAnyOrder(inOrder(2000));
        int least = Math.ceilDiv(Arrays.stream(lengths).sum(), 512);
        assertThat(rows.length).isBetween(least, least + 2);
    }
}
