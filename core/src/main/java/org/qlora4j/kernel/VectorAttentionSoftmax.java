package org.qlora4j.kernel;

import jdk.incubator.vector.FloatVector;
import org.qlora4j.tensor.Tensor;

/**
 * {@link AttentionSoftmax} with the Vector API: of a row only the keys it sees are read, once,
 * worked on in cache and written once.
 */
record VectorAttentionSoftmax(Workers workers, AttentionSoftmax reference)
        implements AttentionSoftmax {
    private static final int ROWS_OF_TASK = 32;

    @Override
    public void forward(Tensor scores, double scale, BlockMask mask) {
        if (!FloatMemory.reads(scores.dtype())) {
            reference.forward(scores, scale, mask);
            return;
        }
        FloatMemory data = FloatMemory.of(scores);
        forEachRow(
                scores,
                mask,
                (row, start) -> {
                    int first = mask.first(row);
                    int n = mask.end(row) - first;
                    data.clear(start, start + first);
                    if (n > 0) {
                        softmax(data, start + first, n, (float) scale, mask, row);
                    }
                    data.clear(start + first + n, start + mask.keys());
                });
    }

    private static void softmax(
            FloatMemory data, long start, int n, float scale, BlockMask mask, int row) {
        float[] e = FloatMemory.scratch(n);
        float max = data.copyRow(start, n, e);
        if (!mask.runs()) {
            max = hide(e, n, mask, row);
            if (max == Float.NEGATIVE_INFINITY) { // nothing is seen
                data.clear(start, start + n);
                return;
            }
        }
        float sum = FloatMemory.exponentials(e, n, max, scale);
        data.storeScaled(e, n, 1 / sum, start);
    }

    /**
     * Puts -infinity where a run of keys has holes.
     *
     * @return the largest value of the others
     */
    private static float hide(float[] e, int n, BlockMask mask, int row) {
        float max = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < n; i++) {
            e[i] = mask.sees(row, mask.first(row) + i) ? e[i] : Float.NEGATIVE_INFINITY;
            max = Math.max(max, e[i]);
        }
        return max;
    }

    @Override
    public void backward(Tensor p, Tensor dp, double scale, BlockMask mask) {
        if (!FloatMemory.reads(p.dtype())) {
            reference.backward(p, dp, scale, mask);
            return;
        }
        FloatMemory ps = FloatMemory.of(p);
        FloatMemory ds = FloatMemory.of(dp);
        forEachRow(
                p,
                mask,
                (row, start) -> {
                    int first = mask.first(row);
                    int seen = mask.end(row) - first;
                    // p is 0 beyond, and so is what comes of it: whole vectors need no tail
                    int n = Math.min(FloatMemory.wholeVectors(seen), mask.keys() - first);
                    ds.clear(start, start + first);
                    gradient(ps, ds, start + first, n, (float) scale);
                    ds.clear(start + first + n, start + mask.keys());
                });
    }

    private static void gradient(FloatMemory ps, FloatMemory ds, long start, int n, float scale) {
        FloatVector dots = FloatVector.zero(FloatMemory.FLOATS);
        int i = 0;
        for (; i <= n - FloatMemory.LANES; i += FloatMemory.LANES) {
            dots = FloatMemory.fma(ps.load(start + i), ds.load(start + i), dots);
        }
        float dot = FloatMemory.sum(dots);
        for (; i < n; i++) {
            dot += ps.get(start + i) * ds.get(start + i);
        }
        for (i = 0; i <= n - FloatMemory.LANES; i += FloatMemory.LANES) {
            FloatVector d = ds.load(start + i).sub(dot).mul(ps.load(start + i)).mul(scale);
            ds.store(d, start + i);
        }
        for (; i < n; i++) {
            ds.set(start + i, (ds.get(start + i) - dot) * ps.get(start + i) * scale);
        }
    }

    private interface RowAction {
        /**
         * @param row of the mask, counted over all sequences
         * @param start first element of the row
         */
        void accept(int row, long start);
    }

    private void forEachRow(Tensor matrices, BlockMask mask, RowAction action) {
        int total = Math.toIntExact(matrices.count() / mask.keys());
        int ofSequence = total / mask.sequences();
        workers.run(
                (total + ROWS_OF_TASK - 1) / ROWS_OF_TASK,
                task -> {
                    int end = Math.min(total, (task + 1) * ROWS_OF_TASK);
                    for (int line = task * ROWS_OF_TASK; line < end; line++) {
                        int sequence = line / ofSequence;
                        int row = sequence * mask.rows() + line % ofSequence % mask.rows();
                        action.accept(row, (long) line * mask.keys());
                    }
                });
    }
}
