package org.qlora4j.generate;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/**
 * Logarithms of the sums of exponentials of rows of logits, which make logits log-probabilities.
 *
 * <p>They are summed in f32 by 16 lanes on every processor, as libtorch's {@code log_softmax} sums
 * them with AVX-512. A lane that holds a likely token swallows what is smaller than its last bit,
 * some 1e-5 nats a token with 8 lanes, half as much with 16; the published numbers of Python's
 * tools are made so. Over a text of 400 tokens the widths differ by 3e-3 nats.
 */
final class LogSums {
    private static final int LANES = 16;

    /** Floats that are copied to the heap at once. */
    private static final int FLOATS_AT_ONCE = 1 << 20;

    private final float[] largest;
    private final float[] logSum;

    /**
     * @param logits [rows, vocabulary]
     */
    LogSums(Tensor logits) {
        int rows = Math.toIntExact(logits.size(0));
        int vocabulary = Math.toIntExact(logits.size(1));
        this.logSum = new float[rows];
        int most = Math.max(1, FLOATS_AT_ONCE / vocabulary);
        try (TensorScope scope = TensorScope.open()) {
            Tensor wide = logits.to(DType.F32);
            Tensor max = wide.amax(1, true);
            Tensor exponentials = wide.minus(max).expInPlace();
            this.largest = max.toFloats();
            for (int from = 0; from < rows; from += most) {
                int count = Math.min(most, rows - from);
                float[] some = exponentials.narrow(0, from, count).toFloats();
                for (int row = 0; row < count; row++) {
                    float sum = sum(some, row * vocabulary, (row + 1) * vocabulary);
                    logSum[from + row] = (float) Math.log(sum);
                }
            }
        }
    }

    /** {@code log Σ exp(logit)} of a row. */
    double of(int row) {
        return (double) largest[row] + logSum[row];
    }

    /** The log-probability that a logit of a row stands for, in nats. */
    float logProbability(int row, float logit) {
        return logit - largest[row] - logSum[row];
    }

    /** The sum of {@code values[from, to)}; in the end halves of the lanes are added. */
    static float sum(float[] values, int from, int to) {
        float[] lanes = new float[LANES];
        int at = from;
        for (; at + LANES <= to; at += LANES) {
            for (int lane = 0; lane < LANES; lane++) {
                lanes[lane] += values[at + lane];
            }
        }
        for (int lane = 0; at + lane < to; lane++) {
            lanes[lane] += values[at + lane];
        }
        for (int half = LANES / 2; half > 0; half /= 2) {
            for (int lane = 0; lane < half; lane++) {
                lanes[lane] += lanes[lane + half];
            }
        }
        return lanes[0];
    }
}
