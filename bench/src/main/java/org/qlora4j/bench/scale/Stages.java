package org.qlora4j.bench.scale;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The layers of a model divided among processes that follow each other, micro-batches in the order
 * 1F1B (PipeDream-Flush, arXiv 2006.09503): a stage begins with as many forward passes as stages
 * follow it, then goes one forward, one backward.
 *
 * @param count of stages, all of which take the same time
 * @param forward seconds of a stage for a micro-batch
 * @param backward likewise
 * @param transfer seconds of a message between two stages
 */
record Stages(int count, double forward, double backward, double transfer) {
    /** Share of the time in which a stage has nothing to do, if messages took none. */
    static double bubble(int stages, int microBatches) {
        return (stages - 1.0) / (microBatches + stages - 1);
    }

    /** Seconds until every stage has done its last backward pass. */
    double play(int microBatches) {
        double[][] forwardEnd = new double[count][microBatches];
        double[][] backwardEnd = new double[count][microBatches];
        for (int stage = 0; stage < count; stage++) {
            Arrays.fill(forwardEnd[stage], Double.NaN);
            Arrays.fill(backwardEnd[stage], Double.NaN);
        }
        double[] free = new double[count];
        int[] next = new int[count];
        List<List<Integer>> orders = new ArrayList<>();
        for (int stage = 0; stage < count; stage++) {
            orders.add(order(stage, microBatches));
        }
        for (int left = 2 * microBatches * count; left > 0; ) {
            for (int stage = 0; stage < count; stage++) {
                if (next[stage] == 2 * microBatches) {
                    continue;
                }
                int work = orders.get(stage).get(next[stage]);
                int batch = Math.abs(work) - 1;
                double ready; // NaN while what it needs is not there
                if (work > 0) {
                    ready = stage == 0 ? 0 : forwardEnd[stage - 1][batch] + transfer;
                } else {
                    ready =
                            stage == count - 1
                                    ? forwardEnd[stage][batch]
                                    : backwardEnd[stage + 1][batch] + transfer;
                }
                if (Double.isNaN(ready)) {
                    continue;
                }
                free[stage] = Math.max(free[stage], ready) + (work > 0 ? forward : backward);
                (work > 0 ? forwardEnd : backwardEnd)[stage][batch] = free[stage];
                next[stage]++;
                left--;
            }
        }
        return Arrays.stream(free).max().orElse(0);
    }

    /** Forward passes as +1, +2, ..., backward passes as -1, -2, ... */
    private List<Integer> order(int stage, int microBatches) {
        List<Integer> out = new ArrayList<>();
        int ahead = Math.min(count - stage - 1, microBatches);
        for (int i = 1; i <= ahead; i++) {
            out.add(i);
        }
        for (int i = 1; i <= microBatches; i++) {
            if (ahead + i <= microBatches) {
                out.add(ahead + i);
            }
            out.add(-i);
        }
        return out;
    }
}
