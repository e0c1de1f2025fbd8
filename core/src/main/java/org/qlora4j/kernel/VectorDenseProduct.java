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
 * @param machine whether {@link Avx2Dots} and {@link Avx2Updates} run here, and do what they take
 */
record VectorDenseProduct(Workers workers, boolean machine) implements DenseProduct {
    /** Weights of one task, about 2 us of work. */
    private static final int TASK = 1 << 14;

    /** Tasks of updates that keep the threads busy; with fewer, outputs are divided too. */
    private static final int ENOUGH = 4;

    private static final int OUTPUTS_OF_TASK = 768;

    /** Outputs of updates at once, which the thread's scratch takes. */
    private static final int OUTPUTS = 256;

    private static final int LANES = FloatMemory.LANES;

    @Override
    public boolean takes(DType dtype, long rows) {
        return rows <= MOST_ROWS && FloatMemory.reads(dtype);
    }

    @Override
    public boolean takesUpdates(Tensor a, Tensor b, long rows) {
        int most = machine && Avx2Updates.takes(a, b) ? MOST_UPDATED_ROWS : MOST_ROWS;
        return rows <= most && FloatMemory.reads(a.dtype());
    }

    @Override
    public void multiply(Tensor x, Tensor weight, Tensor y) {
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
                        target.storeScaled(dots, lines, 1, (long) row * out + first);
                    }
                });
    }

    @Override
    public void addUpdates(Tensor x, List<Update> parts, Tensor y) {
        int in = Math.toIntExact(x.size(1));
        int out = Math.toIntExact(y.size(1));
        FloatMemory source = FloatMemory.of(x);
        FloatMemory target = FloatMemory.of(y);
        List<RowUpdate> updates = new ArrayList<>();
        for (Update part : parts) {
            int rank = Math.toIntExact(part.a().size(0));
            FloatMemory a = FloatMemory.of(part.a());
            FloatMemory b = FloatMemory.of(part.b());
            float scale = (float) part.scale();
            boolean turns = machine && Avx2Updates.takes(part.a(), part.b());
            int most = turns ? Avx2Updates.ROWS : 1;
            for (int i = 0; i < part.count(); i += most) {
                int rows = Math.min(most, part.count() - i);
                float[] down = new float[rows * rank];
                updates.add(new RowUpdate(part.from() + i, rows, turns, rank, a, b, scale, down));
            }
        }
        if (updates.size() >= ENOUGH || out <= OUTPUTS_OF_TASK) {
            workers.run(
                    updates.size(),
                    i -> {
                        updates.get(i).multiplyByA(machine, source, in);
                        updates.get(i).addProducts(machine, target, out, 0, out);
                    });
            return;
        }
        workers.run(updates.size(), i -> updates.get(i).multiplyByA(machine, source, in));
        int ranges = Math.ceilDiv(out, OUTPUTS_OF_TASK);
        workers.run(
                updates.size() * ranges,
                i -> {
                    int first = i % ranges * OUTPUTS_OF_TASK;
                    int end = Math.min(out, first + OUTPUTS_OF_TASK);
                    updates.get(i / ranges).addProducts(machine, target, out, first, end);
                });
    }

    /**
     * Factors for neighbouring rows, more than one if {@link Avx2Updates} take them.
     *
     * @param down A · x, [rows, rank]
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record RowUpdate(
            int row,
            int rows,
            boolean turns,
            int rank,
            FloatMemory a,
            FloatMemory b,
            float scale,
            float[] down) {
        void multiplyByA(boolean machine, FloatMemory x, int in) {
            float[] wide = new float[in];
            float[] dots = FloatMemory.scratch(rank);
            for (int i = 0; i < rows; i++) {
                x.copyRow((long) (row + i) * in, in, wide);
                dots(machine, a, 0, rank, wide, 0, in, dots);
                for (int k = 0; k < rank; k++) {
                    down[i * rank + k] = x.round(dots[k]);
                }
            }
        }

        void addProducts(boolean machine, FloatMemory y, int out, int from, int end) {
            float[] dots = FloatMemory.scratch(rows * OUTPUTS);
            for (int first = from; first < end; first += OUTPUTS) {
                int count = Math.min(OUTPUTS, end - first);
                if (turns) {
                    Avx2Updates.multiply(b, first, count, down, rows, rank, dots);
                } else {
                    dots(machine, b, (long) first * rank, count, down, 0, rank, dots);
                }
                for (int i = 0; i < rows; i++) {
                    y.addScaled(dots, i * count, count, scale, (long) (row + i) * out + first);
                }
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
