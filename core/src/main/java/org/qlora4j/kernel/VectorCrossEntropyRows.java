package org.qlora4j.kernel;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.Tensor;

/**
 * {@link CrossEntropyRows} with the Vector API: a row of logits stays in cache from its maximum to
 * its gradient.
 */
record VectorCrossEntropyRows(Workers workers, CrossEntropyRows reference)
        implements CrossEntropyRows {
    /**
     * Distance from the largest logit within which a logit matters: beyond, a token has under 1% of
     * its probability.
     */
    private static final float NEAR = 5;

    private static final int MOST_SHARPENED = 256;

    @Override
    public double lossAndGradient(
            Tensor x, Tensor weight, Tensor logits, long[] labels, boolean gradient) {
        if (!FloatMemory.reads(logits.dtype())) {
            return reference.lossAndGradient(x, weight, logits, labels, gradient);
        }
        FloatMemory data = FloatMemory.of(logits);
        Head head =
                data.bf16()
                        ? new Head(
                                FloatMemory.of(x),
                                FloatMemory.of(weight),
                                Math.toIntExact(x.size(1)))
                        : null;
        int vocabulary = Math.toIntExact(logits.size(1));
        double[] losses = new double[labels.length];
        workers.run(
                labels.length,
                row -> losses[row] = row(data, head, row, vocabulary, (int) labels[row], gradient));
        double sum = 0;
        for (double loss : losses) { // in order, so that threads don't matter
            sum += loss;
        }
        return sum;
    }

    /** What logits are made of, to make some of them again in f32. */
    private record Head(FloatMemory x, FloatMemory weight, int hidden) {
        float logit(int row, int id) {
            long xAt = (long) row * hidden;
            long wAt = (long) id * hidden;
            FloatVector products = FloatVector.zero(FloatMemory.FLOATS);
            int i = 0;
            for (; i <= hidden - FloatMemory.LANES; i += FloatMemory.LANES) {
                products = FloatMemory.fma(x.load(xAt + i), weight.load(wAt + i), products);
            }
            float sum = FloatMemory.sum(products);
            for (; i < hidden; i++) {
                sum += x.get(xAt + i) * weight.get(wAt + i);
            }
            return sum;
        }
    }

    private static double row(
            FloatMemory data, @Nullable Head head, int row, int n, int label, boolean gradient) {
        long start = (long) row * n;
        float[] e = FloatMemory.scratch(n);
        float max = data.copyRow(start, n, e);
        if (head != null) {
            max = sharpen(e, n, max, head, row, label);
        }
        float atLabel = e[label];
        e[label] = Float.NEGATIVE_INFINITY; // summed apart: beside a target that leads they vanish
        double others = FloatMemory.exponentials(e, n, max, 1);
        double ofLabel = Math.exp(atLabel - max);
        double sum = others + ofLabel;
        if (gradient) {
            data.storeScaled(e, n, (float) (1 / sum), start);
            data.set(start + label, (float) (-others / sum));
        }
        return atLabel == max ? Math.log1p(others) : Math.log(sum) + max - atLabel;
    }

    /**
     * Makes the logits that decide the loss again in f32: that of the label, and those near the
     * largest unless they are so many that their rounding averages out.
     *
     * @return the largest logit
     */
    private static float sharpen(float[] e, int n, float max, Head head, int row, int label) {
        int[] near = new int[MOST_SHARPENED];
        int count = 0;
        for (int i = 0; i < n && count <= MOST_SHARPENED; i += FloatMemory.LANES) {
            long hits = 0;
            if (i <= n - FloatMemory.LANES) {
                hits =
                        FloatVector.fromArray(FloatMemory.FLOATS, e, i)
                                .compare(VectorOperators.GE, max - NEAR)
                                .toLong();
            } else {
                for (int j = i; j < n; j++) {
                    hits |= e[j] >= max - NEAR ? 1L << (j - i) : 0;
                }
            }
            for (; hits != 0; hits &= hits - 1) {
                if (count < MOST_SHARPENED) {
                    near[count] = i + Long.numberOfTrailingZeros(hits);
                }
                count++;
            }
        }
        e[label] = head.logit(row, label);
        if (count > MOST_SHARPENED) {
            return Math.max(max, e[label]);
        }
        float largest = e[label];
        for (int i = 0; i < count; i++) {
            e[near[i]] = head.logit(row, near[i]);
            largest = Math.max(largest, e[near[i]]);
        }
        return largest;
    }
}
