package org.qlora4j.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.qlora4j.kernel.AttentionSoftmax;
import org.qlora4j.kernel.BlockMask;
import org.qlora4j.tensor.Tensor;

/**
 * {@link AttentionSoftmax}: the last block of 128 queries of one sequence, causal. Elements are the
 * scores that a query sees; bytes are those of whole rows.
 */
public class AttentionSoftmaxBench extends TwinBench {
    private static final int QUERIES = 128;
    private static final double SCALE = 0.125;

    @Param("512")
    public int keys = 512;

    private AttentionSoftmax kernel;
    private BlockMask mask;
    private long seen;
    private Tensor scores;
    private Tensor p;
    private Tensor dp;
    private Tensor changed;

    @Override
    void prepare() {
        kernel = timed.attentionSoftmax();
        AttentionSoftmax judge = reference.attentionSoftmax();
        mask = causal();
        scores = normal(1, 8, shape.kvHeads(), shape.group() * (long) QUERIES, keys);
        dp = normal(2, 1, scores.shape());
        changed = scores.copy();
        p = scores.copy();
        kernel.forward(changed, SCALE, mask);
        judge.forward(p, SCALE, mask);
        Answer.requireClose("probabilities", changed, p, tolerance());
        Tensor expected = dp.copy();
        changed.copyFrom(dp);
        kernel.backward(p, changed, SCALE, mask);
        judge.backward(p, expected, SCALE, mask);
        Answer.requireClose("gradient", changed, expected, tolerance());
    }

    private BlockMask causal() {
        int[] end = new int[QUERIES];
        seen = 0;
        for (int row = 0; row < QUERIES; row++) {
            end[row] = keys - QUERIES + row + 1;
            seen += (long) end[row] * shape.heads();
        }
        return new BlockMask(1, QUERIES, keys, new int[QUERIES], end, null);
    }

    /** Both work in place. JMH leaves this out of the time. */
    @Setup(Level.Invocation)
    public void restore() {
        changed.copyFrom(scores);
    }

    @Override
    void free() {
        mask.close();
    }

    @Benchmark
    public void forward(Work work) {
        kernel.forward(changed, SCALE, mask);
        work.add(seen, 2 * bytes(scores));
    }

    @Benchmark
    public void backward(Work work) {
        kernel.backward(p, changed, SCALE, mask);
        work.add(seen, 3 * bytes(scores));
    }
}
