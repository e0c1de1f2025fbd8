package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StepPlanTest {
    /** Micro-batches of some rows; row i holds example 100 + i. */
    private static StepPlan plan(int batches, int batchSize, int lastSize) {
        List<int[][]> all = new ArrayList<>();
        int row = 0;
        for (int i = 0; i < batches; i++) {
            int[][] rows = new int[i + 1 < batches ? batchSize : lastSize][];
            for (int j = 0; j < rows.length; j++) {
                rows[j] = new int[] {100 + row++};
            }
            all.add(rows);
        }
        return new StepPlan(0, 0, 0, all);
    }

    @ParameterizedTest(name = "{0} of {1} rows, the last {2}, for {3}")
    @CsvSource({
        "1, 4, 4, 2",
        "16, 1, 1, 2",
        "2, 2, 2, 4",
        "3, 3, 2, 2",
        "1, 5, 5, 4",
        "1, 1, 1, 3",
        "5, 4, 1, 3",
        "7, 2, 1, 1",
        "4, 8, 8, 8"
    })
    void shares_areAllRowsOnceAndBalanced(int batches, int batchSize, int lastSize, int size) {
        StepPlan plan = plan(batches, batchSize, lastSize);
        TreeMap<Integer, Integer> exampleOfPlace = new TreeMap<>();
        int fewest = Integer.MAX_VALUE;
        int most = 0;
        for (int rank = 0; rank < size; rank++) {
            int rows = 0;
            for (StepPlan.Share share : plan.share(rank, size)) {
                assertThat(share.rows().length).isBetween(1, batchSize);
                for (int i = 0; i < share.rows().length; i++) {
                    assertThat(exampleOfPlace.put(share.places()[i], share.rows()[i][0])).isNull();
                }
                rows += share.rows().length;
            }
            fewest = Math.min(fewest, rows);
            most = Math.max(most, rows);
        }
        int all = (batches - 1) * batchSize + lastSize;
        assertThat(exampleOfPlace.keySet()).containsExactlyElementsOf(range(0, all));
        assertThat(exampleOfPlace.values()).containsExactlyElementsOf(range(100, 100 + all));
        assertThat(most - fewest).isLessThanOrEqualTo(batchSize);
    }

    private static List<Integer> range(int from, int to) {
        return IntStream.range(from, to).boxed().toList();
    }
}
