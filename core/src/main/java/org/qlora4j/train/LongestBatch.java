package org.qlora4j.train;

import java.util.Arrays;
import java.util.List;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Batch;
import org.qlora4j.data.BatchSampler;
import org.qlora4j.data.StepPlan;
import org.qlora4j.kernel.KernelMemory;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Task;
import org.qlora4j.plan.MemoryPlan;
import org.qlora4j.plan.TrainingData;
import org.qlora4j.tensor.DType;

/**
 * The longest rows of a run in one micro-batch: no other takes more memory. A run tries it before
 * its first step, so that memory runs out at once or never.
 *
 * @param rows [rows, places of the examples of a row], the longest first
 * @param time columns of the batch, padding included
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record LongestBatch(int[][] rows, int time) {
    /**
     * Rows of the first epoch; later ones only pack and order the same examples anew.
     *
     * @param processes that share the rows of a step
     * @param most rows that a process computes at once
     */
    static LongestBatch of(TrainingData data, BatchSampler sampler, int processes, int most) {
        List<int[][]> batches = sampler.batchesOf(0);
        int[][] all = batches.stream().flatMap(Arrays::stream).toArray(int[][]::new);
        int[] lengths = data.train().lengths();
        long[] keys = new long[all.length];
        for (int i = 0; i < all.length; i++) {
            long tokens = 0;
            for (int place : all[i]) {
                tokens += lengths[place];
            }
            keys[i] = -tokens << 32 | i;
        }
        Arrays.sort(keys);
        // the first step is never short, and process 0 has no fewer rows than others
        int first = sampler.stepAt(0).share(0, processes).getFirst().rows().length;
        int[][] rows = new int[Math.min(most, first)][];
        Arrays.setAll(rows, i -> all[(int) keys[i]]);
        return new LongestBatch(rows, data.batch(rows).time());
    }

    /** Whether the first of the micro-batches of a step has this size already. */
    boolean comesFirst(List<StepPlan.Share> shares, TrainingData data) {
        if (shares.isEmpty()) {
            return false;
        }
        Batch first = data.batch(shares.getFirst().rows());
        return first.batch() == rows.length && first.time() == time;
    }

    /**
     * What a run with such batches takes of memory.
     *
     * @param model whose dtype between layers may not be the one that was set
     */
    MemoryPlan plan(RunConfig config, CausalModel model, TrainingData data) {
        boolean bf16 = model.compute() == DType.BF16;
        MemoryPlan.Machine machine =
                new MemoryPlan.Machine(bf16, KernelMemory.of(Kernels.current()));
        Task task = model.shape().architecture().task();
        if (task instanceof Task.NextToken) {
            return MemoryPlan.of(config, machine, rows.length, 0, time, model.stage());
        }
        Objective.Halves halves = Objective.Halves.of(data.batch(rows));
        int read = halves.source().time();
        return task instanceof Task.Classify
                ? MemoryPlan.of(config, machine, rows.length, 0, read, model.stage())
                : MemoryPlan.of(
                        config, machine, rows.length, read, halves.target().time(), model.stage());
    }
}
