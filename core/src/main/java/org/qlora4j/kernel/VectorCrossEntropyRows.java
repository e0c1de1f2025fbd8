package org.qlora4j.kernel;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import org.qlora4j.tensor.Tensor;

/**
 * {@link CrossEntropyRows} with the Vector API: a row of logits stays in cache from its maximum to
 * its gradient.
 */
record VectorCrossEntropyRows(Workers workers, CrossEntropyRows reference)
        implements CrossEntropyRows {
    private static final ThreadLocal<float[]> SCRATCH = ThreadLocal.withInitial(() -> new float[0]);

    @Override
    public double lossAndGradient(Tensor logits, long[] labels, boolean gradient) {
        if (!FloatRows.reads(logits.dtype())) {
            return reference.lossAndGradient(logits, labels, gradient);
        }
        FloatRows data = FloatRows.of(logits);
        int vocabulary = Math.toIntExact(logits.size(1));
        double[] losses = new double[labels.length];
        workers.run(
                labels.length,
                row ->
                        losses[row] =
                                row(
                                        data,
                                        (long) row * vocabulary,
                                        vocabulary,
                                        (int) labels[row],
                                        gradient));
        double sum = 0;
        for (double loss : losses) { // in order, so that threads don't matter
            sum += loss;
        }
        return sum;
    }

    private static double row(FloatRows data, long start, int n, int label, boolean gradient) {
        float[] e = scratch(n);
        FloatVector maxima = FloatVector.broadcast(FloatRows.FLOATS, Float.NEGATIVE_INFINITY);
        int i = 0;
        for (; i <= n - FloatRows.LANES; i += FloatRows.LANES) {
            FloatVector x = data.load(start + i);
            x.intoArray(e, i);
            maxima = maxima.max(x);
        }
        float max = maxima.reduceLanes(VectorOperators.MAX);
        for (; i < n; i++) {
            e[i] = data.get(start + i);
            max = Math.max(max, e[i]);
        }
        float atLabel = e[label];
        double sum = 0;
        FloatVector sums = FloatVector.zero(FloatRows.FLOATS);
        for (i = 0; i <= n - FloatRows.LANES; i += FloatRows.LANES) {
            FloatVector y = FastExp.of(FloatVector.fromArray(FloatRows.FLOATS, e, i).sub(max));
            y.intoArray(e, i);
            sums = sums.add(y);
        }
        sum = FloatRows.sum(sums);
        for (; i < n; i++) {
            e[i] = (float) Math.exp(e[i] - max);
            sum += e[i];
        }
        if (gradient) {
            float inverse = (float) (1 / sum);
            for (i = 0; i <= n - FloatRows.LANES; i += FloatRows.LANES) {
                data.store(FloatVector.fromArray(FloatRows.FLOATS, e, i).mul(inverse), start + i);
            }
            for (; i < n; i++) {
                data.set(start + i, e[i] * inverse);
            }
            data.set(start + label, e[label] * inverse - 1);
        }
        return Math.log(sum) + max - atLabel;
    }

    private static float[] scratch(int length) {
        float[] scratch = SCRATCH.get();
        if (scratch.length < length) {
            scratch = new float[length + FloatRows.LANES];
            SCRATCH.set(scratch);
        }
        return scratch;
    }
}
