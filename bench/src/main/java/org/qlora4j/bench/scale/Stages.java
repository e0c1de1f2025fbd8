package org.qlora4j.bench.scale;

import java.util.Arrays;

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

    /** Seconds until the first stage, which is last, has done its last backward pass. */
    double play(int microBatches) {
        double[][] forwards = table(microBatches); // ends, a row later than the stage
        double[][] backwards = table(microBatches);
        Arrays.fill(forwards[0], -transfer); // what the first stage needs is there at 0
        double[] free = new double[count];
        int[] begun = new int[count]; // forward passes
        int[] done = new int[count]; // backward passes
        while (done[0] < microBatches) {
            for (int stage = 0; stage < count; stage++) {
                boolean goesOn =
                        begun[stage] < microBatches && begun[stage] - done[stage] < count - stage;
                int at = goesOn ? begun[stage] : done[stage];
                double[] needed = goesOn ? forwards[stage] : backwards[stage + 1];
                if (at == microBatches || Double.isNaN(needed[at])) {
                    continue;
                }
                double from = Math.max(free[stage], needed[at] + transfer);
                free[stage] = from + (goesOn ? forward : backward);
                (goesOn ? forwards[stage + 1] : backwards[stage])[at] = free[stage];
                (goesOn ? begun : done)[stage]++;
                if (goesOn && stage == count - 1) { // it turns round without a message
                    backwards[count][at] = free[stage] - transfer;
                }
            }
        }
        return free[0];
    }

    /** When each micro-batch is through each stage; NaN before. */
    private double[][] table(int microBatches) {
        double[][] table = new double[count + 1][microBatches];
        for (double[] row : table) {
            Arrays.fill(row, Double.NaN);
        }
        return table;
    }
}
