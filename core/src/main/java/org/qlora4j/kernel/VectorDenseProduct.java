package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link DenseProduct} with the Vector API; four lines at once, so that additions do not wait.
 *
 * @param machine whether {@link Avx2Dots} run here, and do what they take
 */
record VectorDenseProduct(Workers workers, boolean machine) implements DenseProduct {
    /** Weights of one task, about 2 us of work. */
    private static final int TASK = 1 << 14;

    private static final int LANES = FloatMemory.LANES;

    @Override
    public boolean takes(DType dtype, long rows) {
        return rows <= MOST_ROWS && FloatMemory.reads(dtype);
    }

    @Override
    public void multiply(Tensor x, Tensor weight, Tensor y) {
        run(x, weight, 1, false, y);
    }

    @Override
    public void addMultiple(Tensor x, Tensor weight, double scale, Tensor y) {
        run(x, weight, (float) scale, true, y);
    }

    private void run(Tensor x, Tensor weight, float scale, boolean add, Tensor y) {
        int in = Math.toIntExact(weight.size(1));
        int out = Math.toIntExact(weight.size(0));
        int rows = Math.toIntExact(x.count() / in);
        FloatMemory source = FloatMemory.of(x);
        float[] wide = new float[rows * in];
        source.copyRow(0, rows * in, wide);
        FloatMemory w = FloatMemory.of(weight);
        FloatMemory target = FloatMemory.of(y);
        workers.runLines(
                out,
                TASK / in,
                (first, end) -> {
                    int lines = end - first;
                    float[] dots = FloatMemory.scratch(lines);
                    for (int row = 0; row < rows; row++) {
                        dots(machine, w, (long) first * in, lines, wide, row * in, in, dots);
                        long start = (long) row * out + first;
                        if (add) {
                            target.addScaled(dots, lines, scale, start);
                        } else {
                            target.storeScaled(dots, lines, scale, start);
                        }
                    }
                });
    }

    @Override
    public void addUpdates(Tensor x, List<Update> parts, Tensor y) {
        int in = Math.toIntExact(x.size(1));
        int out = Math.toIntExact(y.size(1));
        FloatMemory source = FloatMemory.of(x);
        FloatMemory target = FloatMemory.of(y);
        List<RowUpdate> rows = new ArrayList<>();
        for (Update part : parts) {
            RowUpdate first =
                    new RowUpdate(
                            part.from(),
                            Math.toIntExact(part.a().size(0)),
                            FloatMemory.of(part.a()),
                            FloatMemory.of(part.b()),
                            (float) part.scale());
            for (int i = 0; i < part.count(); i++) {
                rows.add(first.ofRow(part.from() + i));
            }
        }
        workers.run(rows.size(), i -> rows.get(i).add(machine, source, in, target, out));
    }

    /** Factors for one row. */
    private record RowUpdate(int row, int rank, FloatMemory a, FloatMemory b, float scale) {
        /** Outputs at once, which the thread's scratch takes. */
        private static final int PART = 256;

        RowUpdate ofRow(int other) {
            return new RowUpdate(other, rank, a, b, scale);
        }

        void add(boolean machine, FloatMemory x, int in, FloatMemory y, int out) {
            float[] wide = new float[in];
            float[] down = new float[rank];
            x.copyRow((long) row * in, in, wide);
            dots(machine, a, 0, rank, wide, 0, in, down);
            for (int i = 0; i < rank; i++) {
                down[i] = x.round(down[i]);
            }
            float[] dots = FloatMemory.scratch(PART);
            for (int first = 0; first < out; first += PART) {
                int count = Math.min(PART, out - first);
                dots(machine, b, (long) first * rank, count, down, 0, rank, dots);
                y.addScaled(dots, count, scale, (long) row * out + first);
            }
        }
    }

    /** Products of neighbouring lines of W, from {@code at} on, with one x. */
    private static void dots(
            boolean machine,
            FloatMemory w,
            long at,
            int lines,
            float[] x,
            int from,
            int in,
            float[] into) {
        int line = 0;
        if (machine && Avx2Dots.takes(w, in)) {
            MemorySegment own = MemorySegment.ofArray(x).asSlice((long) from * Float.BYTES);
            line = Avx2Dots.multiply(w, at, lines, own, in, into);
        }
        for (; line <= lines - 4; line += 4) {
            four(w, at + (long) line * in, x, from, in, into, line);
        }
        for (; line < lines; line++) {
            into[line] = dot(w, at + (long) line * in, x, from, in);
        }
    }

    /** As {@link #dot} for four lines, which share the loads of x. */
    private static void four(
            FloatMemory w, long at, float[] x, int from, int in, float[] into, int to) {
        long at1 = at + in;
        long at2 = at1 + in;
        long at3 = at2 + in;
        FloatVector a = FloatVector.zero(FloatMemory.FLOATS);
        FloatVector b = a;
        FloatVector c = a;
        FloatVector d = a;
        int i = 0;
        for (; i <= in - LANES; i += LANES) {
            FloatVector own = load(x, from + i);
            a = FloatMemory.fma(w.load(at + i), own, a);
            b = FloatMemory.fma(w.load(at1 + i), own, b);
            c = FloatMemory.fma(w.load(at2 + i), own, c);
            d = FloatMemory.fma(w.load(at3 + i), own, d);
        }
        into[to] = FloatMemory.sum(a);
        into[to + 1] = FloatMemory.sum(b);
        into[to + 2] = FloatMemory.sum(c);
        into[to + 3] = FloatMemory.sum(d);
        for (; i < in; i++) {
            float own = x[from + i];
            into[to] += w.get(at + i) * own;
            into[to + 1] += w.get(at1 + i) * own;
            into[to + 2] += w.get(at2 + i) * own;
            into[to + 3] += w.get(at3 + i) * own;
        }
    }

    /** The sum of a line has one order, so that it does not depend on the lines beside it. */
    private static float dot(FloatMemory w, long at, float[] x, int from, int in) {
        FloatVector a = FloatVector.zero(FloatMemory.FLOATS);
        int i = 0;
        for (; i <= in - LANES; i += LANES) {
            a = FloatMemory.fma(w.load(at + i), load(x, from + i), a);
        }
        float sum = FloatMemory.sum(a);
        for (; i < in; i++) {
            sum += w.get(at + i) * x[from + i];
        }
        return sum;
    }

    private static FloatVector load(float[] x, int at) {
        return FloatVector.fromArray(FloatMemory.FLOATS, x, at);
    }
}
