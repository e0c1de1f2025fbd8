package org.qlora4j.kernel;

import org.qlora4j.tensor.Tensor;

/**
 * Cross-entropy of the logits {@code x · Wᵀ} and its gradient, with sums in f32 (f64 for F64).
 *
 * <p>Logits in bf16 are off by up to 0.06 where they are about 16, which on the few label tokens of
 * a small batch moves the loss by more than one percent. So the loss is that of logits in f32, as
 * far as it depends on them. What classes other than the label have is summed apart, so that loss
 * and gradient stay right, not 0, where the label's probability rounds to 1.
 */
public sealed interface CrossEntropyRows
        permits MetaKernels, ReferenceCrossEntropyRows, VectorCrossEntropyRows {
    /**
     * @param x [rows, hidden], contiguous, F32, BF16 or F64
     * @param weight W [vocabulary, hidden], contiguous, of the type of x
     * @param logits the product [rows, vocabulary], rounded to the type of x; with {@code gradient}
     *     overwritten by {@code softmax - one-hot(label)}, else undefined afterwards
     * @param labels id of each row
     * @return the sum over rows of -log p(label), in nats
     */
    double lossAndGradient(Tensor x, Tensor weight, Tensor logits, long[] labels, boolean gradient);
}
