package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.IntConsumer;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.Tensor;

/** {@link LayerNormRows} with the Vector API. */
record VectorLayerNormRows(Workers workers, LayerNormRows reference) implements LayerNormRows {
    private static final int ROWS_OF_TASK = 64;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    @Override
    public void forward(
            Tensor x,
            Tensor weight,
            Tensor bias,
            double eps,
            Tensor y,
            @Nullable Tensor statistics) {
        if (!FloatMemory.reads(x.dtype())) {
            reference.forward(x, weight, bias, eps, y, statistics);
            return;
        }
        FloatMemory in = FloatMemory.of(x);
        FloatMemory w = FloatMemory.of(weight);
        FloatMemory b = FloatMemory.of(bias);
        FloatMemory out = FloatMemory.of(y);
        MemorySegment kept = statistics == null ? null : statistics.segment();
        int n = Math.toIntExact(weight.count());
        long rows = x.count() / n;
        forEachRow(
                rows,
                row -> {
                    long start = (long) row * n;
                    float mean = sum(in, start, n) / n;
                    float variance = squares(in, start, n, mean) / n;
                    float scale = (float) (1 / Math.sqrt(variance + eps));
                    if (kept != null) {
                        kept.setAtIndex(FLOAT, row, mean);
                        kept.setAtIndex(FLOAT, rows + row, scale);
                    }
                    write(in, w, b, out, start, n, mean, scale);
                });
    }

    @Override
    public void backward(Tensor x, Tensor weight, Tensor statistics, Tensor dy, Tensor dx) {
        if (!FloatMemory.reads(x.dtype())) {
            reference.backward(x, weight, statistics, dy, dx);
            return;
        }
        FloatMemory in = FloatMemory.of(x);
        FloatMemory w = FloatMemory.of(weight);
        FloatMemory dOut = FloatMemory.of(dy);
        FloatMemory dIn = FloatMemory.of(dx);
        MemorySegment kept = statistics.segment();
        int n = Math.toIntExact(weight.count());
        long rows = x.count() / n;
        forEachRow(
                rows,
                row -> {
                    long start = (long) row * n;
                    float mean = kept.getAtIndex(FLOAT, row);
                    float scale = kept.getAtIndex(FLOAT, rows + row);
                    float shift = dot(dOut, w, start, n) / n;
                    float pull = dot(dOut, w, in, start, n, mean) * scale * scale / n;
                    gradient(dOut, w, in, dIn, start, n, new Row(mean, scale, shift, pull));
                });
    }

    /**
     * What the gradients of a row share.
     *
     * @param shift mean of {@code dy * weight}
     * @param pull of the variance, per unit of {@code x - mean}
     */
    private record Row(float mean, float scale, float shift, float pull) {}

    private static float sum(FloatMemory x, long start, int n) {
        FloatVector sums = FloatVector.zero(FloatMemory.FLOATS);
        int i = 0;
        for (; i <= n - FloatMemory.LANES; i += FloatMemory.LANES) {
            sums = sums.add(x.load(start + i));
        }
        float sum = FloatMemory.sum(sums);
        for (; i < n; i++) {
            sum += x.get(start + i);
        }
        return sum;
    }

    /** {@code sum((x - mean)²)}. */
    private static float squares(FloatMemory x, long start, int n, float mean) {
        FloatVector squares = FloatVector.zero(FloatMemory.FLOATS);
        int i = 0;
        for (; i <= n - FloatMemory.LANES; i += FloatMemory.LANES) {
            FloatVector v = x.load(start + i).sub(mean);
            squares = FloatMemory.fma(v, v, squares);
        }
        float sum = FloatMemory.sum(squares);
        for (; i < n; i++) {
            float v = x.get(start + i) - mean;
            sum += v * v;
        }
        return sum;
    }

    private static void write(
            FloatMemory x,
            FloatMemory w,
            FloatMemory b,
            FloatMemory y,
            long start,
            int n,
            float mean,
            float scale) {
        int i = 0;
        for (; i <= n - FloatMemory.LANES; i += FloatMemory.LANES) {
            FloatVector normed = x.load(start + i).sub(mean).mul(scale);
            y.store(FloatMemory.fma(normed, w.load(i), b.load(i)), start + i);
        }
        for (; i < n; i++) {
            y.set(start + i, (x.get(start + i) - mean) * scale * w.get(i) + b.get(i));
        }
    }

    /** {@code sum(dy * weight)} of a row. */
    private static float dot(FloatMemory dy, FloatMemory w, long start, int n) {
        FloatVector dots = FloatVector.zero(FloatMemory.FLOATS);
        int i = 0;
        for (; i <= n - FloatMemory.LANES; i += FloatMemory.LANES) {
            dots = FloatMemory.fma(dy.load(start + i), w.load(i), dots);
        }
        float dot = FloatMemory.sum(dots);
        for (; i < n; i++) {
            dot += dy.get(start + i) * w.get(i);
        }
        return dot;
    }

    /** {@code sum(dy * weight * (x - mean))} of a row. */
    private static float dot(
            FloatMemory dy, FloatMemory w, FloatMemory x, long start, int n, float mean) {
        FloatVector dots = FloatVector.zero(FloatMemory.FLOATS);
        int i = 0;
        for (; i <= n - FloatMemory.LANES; i += FloatMemory.LANES) {
            FloatVector d = dy.load(start + i).mul(w.load(i));
            dots = FloatMemory.fma(d, x.load(start + i).sub(mean), dots);
        }
        float dot = FloatMemory.sum(dots);
        for (; i < n; i++) {
            dot += dy.get(start + i) * w.get(i) * (x.get(start + i) - mean);
        }
        return dot;
    }

    /** {@code (dy * weight - shift - (x - mean) * pull) * scale}. */
    private static void gradient(
            FloatMemory dy,
            FloatMemory w,
            FloatMemory x,
            FloatMemory dx,
            long start,
            int n,
            Row row) {
        int i = 0;
        for (; i <= n - FloatMemory.LANES; i += FloatMemory.LANES) {
            FloatVector d = dy.load(start + i).mul(w.load(i)).sub(row.shift);
            FloatVector centered = x.load(start + i).sub(row.mean);
            dx.store(d.sub(centered.mul(row.pull)).mul(row.scale), start + i);
        }
        for (; i < n; i++) {
            float d = dy.get(start + i) * w.get(i) - row.shift;
            dx.set(start + i, (d - (x.get(start + i) - row.mean) * row.pull) * row.scale);
        }
    }

    private void forEachRow(long rows, IntConsumer action) {
        int total = Math.toIntExact(rows);
        workers.run(
                (total + ROWS_OF_TASK - 1) / ROWS_OF_TASK,
                task -> {
                    int end = Math.min(total, (task + 1) * ROWS_OF_TASK);
                    for (int row = task * ROWS_OF_TASK; row < end; row++) {
                        action.accept(row);
                    }
                });
    }
}
