package org.qlora4j.kernel;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import org.qlora4j.tensor.Tensor;

/**
 * {@link ElementRows} with the Vector API. Both gates are {@code x · sigmoid(t(x))}: silu with
 * {@code t(x) = x}, GELU by tanh with a cubic, since {@code 1 + tanh(u) = 2 · sigmoid(2u)}.
 */
record VectorElementRows(Workers workers, ElementRows reference) implements ElementRows {
    /**
     * Elements of one task, but never less than a row: one text's stays on the thread that asks.
     */
    private static final int TASK = 1 << 12;

    /** Elements whose exponentials are made at once; they stay in the nearest cache. */
    private static final int PIECE = 1 << 10;

    /** {@code 2 √(2/π)}. */
    private static final float TWICE_ROOT = 1.5957691216057308f;

    private static final float CUBIC = 0.044715f;

    @Override
    public void add(Tensor a, Tensor b, Tensor out) {
        if (!FloatMemory.reads(out.dtype())) {
            reference.add(a, b, out);
            return;
        }
        FloatMemory as = FloatMemory.of(a);
        FloatMemory bs = FloatMemory.of(b);
        FloatMemory target = FloatMemory.of(out);
        long n = out.count();
        long size = taskOf(out);
        workers.run(
                tasks(n, size),
                task -> {
                    long end = Math.min(n, (task + 1L) * size);
                    long i = task * size;
                    for (; i <= end - FloatMemory.LANES; i += FloatMemory.LANES) {
                        target.store(as.load(i).add(bs.load(i)), i);
                    }
                    for (; i < end; i++) {
                        target.set(i, as.get(i) + bs.get(i));
                    }
                });
    }

    @Override
    public void gate(Gate f, Tensor gate, Tensor up, Tensor out) {
        if (!FloatMemory.reads(out.dtype())) {
            reference.gate(f, gate, up, out);
            return;
        }
        FloatMemory gates = FloatMemory.of(gate);
        FloatMemory ups = FloatMemory.of(up);
        FloatMemory target = FloatMemory.of(out);
        long n = out.count();
        long size = taskOf(out);
        workers.run(
                tasks(n, size),
                task -> {
                    long end = Math.min(n, (task + 1L) * size);
                    for (long i = task * size; i < end; i += PIECE) {
                        int length = (int) Math.min(PIECE, end - i);
                        float[] e = FloatMemory.scratch(length);
                        gates.copyRow(i, length, e);
                        if (VectorWidth.WHOLE) {
                            if (f == Gate.GELU_TANH) {
                                cubics(e, length);
                            }
                            exponentials(e, length);
                            gate(gates, e, ups, target, i, length);
                        } else {
                            gateOneByOne(f, e, ups, target, i, length);
                        }
                    }
                });
    }

    /** Turns each x into t(x) of GELU, and what is behind them up to a whole vector too. */
    private static void cubics(float[] row, int length) {
        for (int i = 0; i < length; i += FloatMemory.LANES) {
            FloatVector x = FloatVector.fromArray(FloatMemory.FLOATS, row, i);
            x.mul(x).mul(CUBIC).add(1f).mul(x).mul(TWICE_ROOT).intoArray(row, i);
        }
    }

    /**
     * Turns each x into {@code exp(-|x|)}, and what is behind them up to a whole vector too. A
     * method by itself, as is {@link #gate(FloatMemory, float[], FloatMemory, FloatMemory, long,
     * int)}: in a longer one the JVM leaves vectors as objects, at a third of the speed.
     */
    private static void exponentials(float[] row, int length) {
        for (int i = 0; i < length; i += FloatMemory.LANES) {
            FloatVector x = FloatVector.fromArray(FloatMemory.FLOATS, row, i);
            FastExp.of(x.abs().neg()).intoArray(row, i);
        }
    }

    /** {@code x · sigmoid(t)} times up, by e = exp(-|t|); t has the sign of x. */
    private static void gate(
            FloatMemory gates,
            float[] e,
            FloatMemory ups,
            FloatMemory target,
            long start,
            int length) {
        int i = 0;
        for (; i <= length - FloatMemory.LANES; i += FloatMemory.LANES) {
            FloatVector x = gates.load(start + i);
            FloatVector y = FloatVector.fromArray(FloatMemory.FLOATS, e, i);
            FloatVector above = x.mul(y).blend(x, x.compare(VectorOperators.GE, 0f));
            FloatVector gated = target.round(above.div(y.add(1f)));
            target.store(gated.mul(ups.load(start + i)), start + i);
        }
        for (; i < length; i++) {
            float x = gates.get(start + i);
            float gated = (x >= 0 ? x : x * e[i]) / (e[i] + 1);
            target.set(start + i, target.round(gated) * ups.get(start + i));
        }
    }

    private static void gateOneByOne(
            Gate f, float[] gates, FloatMemory ups, FloatMemory target, long start, int length) {
        for (int i = 0; i < length; i++) {
            float x = gates[i];
            float t = f == Gate.SILU ? x : (x * x * CUBIC + 1) * x * TWICE_ROOT;
            float e = FastExp.of(-Math.abs(t));
            float gated = (x >= 0 ? x : x * e) / (e + 1);
            target.set(start + i, target.round(gated) * ups.get(start + i));
        }
    }

    private static long taskOf(Tensor out) {
        long few = Math.ceilDiv(out.count(), (long) Workers.MOST_TASKS * PIECE) * PIECE;
        return Math.max(Math.max(TASK, out.size(-1)), few);
    }

    private static int tasks(long n, long size) {
        return Math.toIntExact(Math.ceilDiv(n, size));
    }
}
