package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.IntConsumer;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.Tensor;

/** {@link NormRows} with the Vector API. */
record VectorNormRows(Workers workers, NormRows reference) implements NormRows {
    /** Elements of one task, but never less than a row. */
    private static final int TASK = 1 << 12;

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    @Override
    public void forward(
            Tensor x, Tensor weight, float shift, double eps, Tensor y, @Nullable Tensor inverse) {
        if (!FloatMemory.reads(x.dtype())) {
            reference.forward(x, weight, shift, eps, y, inverse);
            return;
        }
        FloatMemory in = FloatMemory.of(x);
        FloatMemory w = FloatMemory.of(weight);
        FloatMemory out = FloatMemory.of(y);
        MemorySegment scales = inverse == null ? null : inverse.segment();
        int n = Math.toIntExact(weight.count());
        forEachRow(
                x.count() / n,
                n,
                row -> {
                    long start = (long) row * n;
                    FloatVector squares = FloatVector.zero(FloatMemory.FLOATS);
                    int i = 0;
                    for (; i <= n - FloatMemory.LANES; i += FloatMemory.LANES) {
                        FloatVector v = in.load(start + i);
                        squares = FloatMemory.fma(v, v, squares);
                    }
                    float sum = FloatMemory.sum(squares);
                    for (; i < n; i++) {
                        sum += in.get(start + i) * in.get(start + i);
                    }
                    float scale = (float) (1 / Math.sqrt(sum / n + eps));
                    if (scales != null) {
                        scales.setAtIndex(FLOAT, row, scale);
                    }
                    if (shift == 0) {
                        weigh(in, w, out, start, n, scale);
                    } else {
                        weighShifted(in, w, shift, out, start, n, scale);
                    }
                });
    }

    private static void weigh(
            FloatMemory in, FloatMemory w, FloatMemory out, long start, int n, float scale) {
        int i = 0;
        for (; i <= n - FloatMemory.LANES; i += FloatMemory.LANES) {
            out.store(out.round(in.load(start + i).mul(scale)).mul(w.load(i)), start + i);
        }
        for (; i < n; i++) {
            out.set(start + i, out.round(in.get(start + i) * scale) * w.get(i));
        }
    }

    private static void weighShifted(
            FloatMemory in,
            FloatMemory w,
            float shift,
            FloatMemory out,
            long start,
            int n,
            float scale) {
        int i = 0;
        for (; i <= n - FloatMemory.LANES; i += FloatMemory.LANES) {
            out.store(in.load(start + i).mul(scale).mul(w.load(i).add(shift)), start + i);
        }
        for (; i < n; i++) {
            out.set(start + i, in.get(start + i) * scale * (w.get(i) + shift));
        }
    }

    @Override
    public void backward(
            Tensor x, Tensor weight, float shift, Tensor inverse, Tensor dy, Tensor dx) {
        if (!FloatMemory.reads(x.dtype())) {
            reference.backward(x, weight, shift, inverse, dy, dx);
            return;
        }
        FloatMemory in = FloatMemory.of(x);
        FloatMemory w = FloatMemory.of(weight);
        FloatMemory dOut = FloatMemory.of(dy);
        FloatMemory dIn = FloatMemory.of(dx);
        MemorySegment scales = inverse.segment();
        int n = Math.toIntExact(weight.count());
        forEachRow(
                inverse.count(),
                n,
                row -> {
                    long start = (long) row * n;
                    float scale = scales.getAtIndex(FLOAT, row);
                    float dot = dot(dOut, w, shift, in, start, n);
                    float pull = dot * scale * scale / n; // of the mean, per unit of x
                    gradient(dOut, w, shift, in, dIn, start, n, scale, pull);
                });
    }

    /** {@code sum(dy * (weight + shift) * x)} of a row. */
    private static float dot(
            FloatMemory dy, FloatMemory w, float shift, FloatMemory x, long start, int n) {
        FloatVector dots = FloatVector.zero(FloatMemory.FLOATS);
        int i = 0;
        for (; i <= n - FloatMemory.LANES; i += FloatMemory.LANES) {
            FloatVector d = dy.load(start + i).mul(w.load(i).add(shift));
            dots = FloatMemory.fma(d, x.load(start + i), dots);
        }
        float dot = FloatMemory.sum(dots);
        for (; i < n; i++) {
            dot += dy.get(start + i) * (w.get(i) + shift) * x.get(start + i);
        }
        return dot;
    }

    /** {@code (dy * (weight + shift) - x * pull) * scale}. */
    private static void gradient(
            FloatMemory dy,
            FloatMemory w,
            float shift,
            FloatMemory x,
            FloatMemory dx,
            long start,
            int n,
            float scale,
            float pull) {
        int i = 0;
        for (; i <= n - FloatMemory.LANES; i += FloatMemory.LANES) {
            FloatVector d = dy.load(start + i).mul(w.load(i).add(shift));
            dx.store(d.sub(x.load(start + i).mul(pull)).mul(scale), start + i);
        }
        for (; i < n; i++) {
            float d = dy.get(start + i) * (w.get(i) + shift);
            dx.set(start + i, (d - x.get(start + i) * pull) * scale);
        }
    }

    private void forEachRow(long rows, int length, IntConsumer action) {
        int total = Math.toIntExact(rows);
        workers.runLines(
                total,
                TASK / length,
                (first, end) -> {
                    for (int row = first; row < end; row++) {
                        action.accept(row);
                    }
                });
    }
}
