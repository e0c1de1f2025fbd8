package org.qlora4j.kernel;

import org.qlora4j.tensor.Tensor;

/**
 * The softmax between the two products of attention, and its gradient, in place, with sums in f32
 * (f64 for F64).
 *
 * <p>Matrices are [sequences * heads, repeats * rows, keys], contiguous, F32, BF16 or F64; within a
 * sequence, the mask begins anew every {@code rows} lines. Where a key is hidden the result is 0,
 * also in a row that sees nothing.
 */
public sealed interface AttentionSoftmax
        permits MetaKernels, ReferenceAttentionSoftmax, VectorAttentionSoftmax {
    /** Turns scores into {@code softmax(scale * scores)} over the keys a row sees. */
    void forward(Tensor scores, double scale, BlockMask mask);

    /**
     * Turns the gradient of the probabilities into that of the scores before scaling: {@code scale
     * * p * (dp - sum(dp * p))}.
     *
     * @param p probabilities, as {@link #forward} left them
     * @param dp their gradient; overwritten
     */
    void backward(Tensor p, Tensor dp, double scale, BlockMask mask);
}
