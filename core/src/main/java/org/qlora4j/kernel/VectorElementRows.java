package org.qlora4j.kernel;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import org.qlora4j.tensor.Tensor;

/** {@link ElementRows} with the Vector API. */
record VectorElementRows(Workers workers, ElementRows reference) implements ElementRows {
    /** Elements of one task: a step of generation is one, and stays on the thread that asks. */
    private static final int TASK = 1 << 14;

    @Override
    public void add(Tensor a, Tensor b, Tensor out) {
        if (!FloatRows.reads(out.dtype())) {
            reference.add(a, b, out);
            return;
        }
        FloatRows as = FloatRows.of(a);
        FloatRows bs = FloatRows.of(b);
        FloatRows target = FloatRows.of(out);
        long n = out.count();
        workers.run(
                tasks(n),
                task -> {
                    long end = Math.min(n, (task + 1L) * TASK);
                    long i = (long) task * TASK;
                    for (; i <= end - FloatRows.LANES; i += FloatRows.LANES) {
                        target.store(as.load(i).add(bs.load(i)), i);
                    }
                    for (; i < end; i++) {
                        target.set(i, as.get(i) + bs.get(i));
                    }
                });
    }

    @Override
    public void gate(Tensor gate, Tensor up, Tensor out) {
        if (!FloatRows.reads(out.dtype())) {
            reference.gate(gate, up, out);
            return;
        }
        FloatRows gates = FloatRows.of(gate);
        FloatRows ups = FloatRows.of(up);
        FloatRows target = FloatRows.of(out);
        long n = out.count();
        workers.run(
                tasks(n),
                task -> {
                    long end = Math.min(n, (task + 1L) * TASK);
                    long i = (long) task * TASK;
                    for (; i <= end - FloatRows.LANES; i += FloatRows.LANES) {
                        FloatVector silu = silu(gates.load(i));
                        target.store(target.round(silu).mul(ups.load(i)), i);
                    }
                    for (; i < end; i++) {
                        float x = gates.get(i);
                        float silu = silu(FloatVector.broadcast(FloatRows.FLOATS, x)).lane(0);
                        target.set(i, target.round(silu) * ups.get(i));
                    }
                });
    }

    /** {@code x / (1 + exp(-x))}, by the exponential of a value of at most 0. */
    private static FloatVector silu(FloatVector x) {
        FloatVector e = FastExp.of(x.abs().neg());
        FloatVector above = x.mul(e).blend(x, x.compare(VectorOperators.GE, 0f));
        return above.div(e.add(1f));
    }

    private static int tasks(long n) {
        return Math.toIntExact((n + TASK - 1) / TASK);
    }
}
