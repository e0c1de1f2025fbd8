package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.Tensor;

/**
 * {@link AttentionSoftmax} with the Vector API: a row is read once, worked on in cache and written
 * once.
 */
record VectorAttentionSoftmax(Workers workers, AttentionSoftmax reference)
        implements AttentionSoftmax {
    private static final int ROWS_OF_TASK = 32;

    @Override
    public void forward(Tensor scores, double scale, RowMask mask) {
        if (!FloatRows.reads(scores.dtype())) {
            reference.forward(scores, scale, mask);
            return;
        }
        FloatRows data = FloatRows.of(scores);
        MemorySegment hidden = hidden(mask);
        forEachRow(
                scores,
                mask,
                (row, start) -> {
                    int n = visible(mask, row);
                    float[] e = FloatRows.scratch(mask.keys());
                    long maskStart = (long) row * mask.keys();
                    softmax(data, start, n, (float) scale, hidden, maskStart, e);
                    data.clear(start + n, start + mask.keys());
                });
    }

    private static void softmax(
            FloatRows data,
            long start,
            int n,
            float scale,
            @Nullable MemorySegment hidden,
            long maskStart,
            float[] e) {
        float max = Float.NEGATIVE_INFINITY;
        int i = 0;
        if (hidden == null) {
            max = data.copyRow(start, n, e);
        } else {
            for (; i < n; i++) {
                boolean seen = hidden.get(ValueLayout.JAVA_BYTE, maskStart + i) == 0;
                e[i] = seen ? data.get(start + i) : Float.NEGATIVE_INFINITY;
                max = Math.max(max, e[i]);
            }
        }
        if (max == Float.NEGATIVE_INFINITY) { // nothing is seen
            data.clear(start, start + n);
            return;
        }
        FloatVector sums = FloatVector.zero(FloatRows.FLOATS);
        float sum = 0;
        for (i = 0; i <= n - FloatRows.LANES; i += FloatRows.LANES) {
            FloatVector y =
                    FastExp.of(FloatVector.fromArray(FloatRows.FLOATS, e, i).sub(max).mul(scale));
            y.intoArray(e, i);
            sums = sums.add(y);
        }
        sum = FloatRows.sum(sums);
        for (; i < n; i++) {
            e[i] = (float) Math.exp((e[i] - max) * scale);
            sum += e[i];
        }
        float inverse = 1 / sum;
        for (i = 0; i <= n - FloatRows.LANES; i += FloatRows.LANES) {
            data.store(FloatVector.fromArray(FloatRows.FLOATS, e, i).mul(inverse), start + i);
        }
        for (; i < n; i++) {
            data.set(start + i, e[i] * inverse);
        }
    }

    @Override
    public void backward(Tensor p, Tensor dp, double scale, RowMask mask) {
        if (!FloatRows.reads(p.dtype())) {
            reference.backward(p, dp, scale, mask);
            return;
        }
        FloatRows ps = FloatRows.of(p);
        FloatRows ds = FloatRows.of(dp);
        float factor = (float) scale;
        forEachRow(
                p,
                mask,
                (row, start) -> {
                    int n = visible(mask, row);
                    FloatVector dots = FloatVector.zero(FloatRows.FLOATS);
                    int i = 0;
                    for (; i <= n - FloatRows.LANES; i += FloatRows.LANES) {
                        dots = ps.load(start + i).fma(ds.load(start + i), dots);
                    }
                    float dot = FloatRows.sum(dots);
                    for (; i < n; i++) {
                        dot += ps.get(start + i) * ds.get(start + i);
                    }
                    for (i = 0; i <= n - FloatRows.LANES; i += FloatRows.LANES) {
                        FloatVector d =
                                ds.load(start + i).sub(dot).mul(ps.load(start + i)).mul(factor);
                        ds.store(d, start + i);
                    }
                    for (; i < n; i++) {
                        ds.set(start + i, (ds.get(start + i) - dot) * ps.get(start + i) * factor);
                    }
                    ds.clear(start + n, start + mask.keys());
                });
    }

    private interface RowAction {
        /**
         * @param row of the mask
         * @param start first element of the row
         */
        void accept(int row, long start);
    }

    private void forEachRow(Tensor matrices, RowMask mask, RowAction action) {
        int total = Math.toIntExact(matrices.count() / Math.max(1, mask.keys()));
        workers.run(
                (total + ROWS_OF_TASK - 1) / ROWS_OF_TASK,
                task -> {
                    int end = Math.min(total, (task + 1) * ROWS_OF_TASK);
                    for (int line = task * ROWS_OF_TASK; line < end; line++) {
                        action.accept(line % mask.rows(), (long) line * mask.keys());
                    }
                });
    }

    private static int visible(RowMask mask, int row) {
        int[] visible = mask.visible();
        return visible == null ? mask.keys() : visible[row];
    }

    /** The mask's bytes, unless the numbers of visible keys say all. */
    private static @Nullable MemorySegment hidden(RowMask mask) {
        Tensor hidden = mask.hidden();
        return hidden == null || mask.visible() != null ? null : hidden.segment();
    }
}
