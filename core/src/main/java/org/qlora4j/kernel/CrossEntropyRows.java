package org.qlora4j.kernel;

import org.qlora4j.tensor.Tensor;

/** Cross-entropy of rows of logits and its gradient, with sums in f32 (f64 for F64). */
public sealed interface CrossEntropyRows permits ReferenceCrossEntropyRows, VectorCrossEntropyRows {
    /**
     * @param logits [rows, vocabulary], contiguous, F32, BF16 or F64; with {@code gradient}
     *     overwritten by {@code softmax - one-hot(label)}, else undefined afterwards
     * @param labels id of each row
     * @return the sum over rows of -log p(label), in nats
     */
    double lossAndGradient(Tensor logits, long[] labels, boolean gradient);
}
