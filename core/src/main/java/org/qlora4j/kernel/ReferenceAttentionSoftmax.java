package org.qlora4j.kernel;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/** {@link AttentionSoftmax} in libtorch operations. */
record ReferenceAttentionSoftmax() implements AttentionSoftmax {
    private static final double HIDDEN =
            -3.0e38; // finite, so that a row of nothing else gives no NaN

    @Override
    public void forward(Tensor scores, double scale, BlockMask mask) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor scaled = bySequence(scores.to(scores.dtype().wide()).times(scale), mask);
            Tensor hidden = mask.hidden();
            if (hidden != null) {
                scaled.maskedFillInPlace(hidden, HIDDEN);
            }
            Tensor p = scaled.softmax(-1);
            if (hidden != null && mask.hasEmptyRows()) {
                p.maskedFillInPlace(hidden, 0);
            }
            scores.copyFrom(p.view(scores.shape()));
        }
    }

    @Override
    public void backward(Tensor p, Tensor dp, double scale, BlockMask mask) {
        try (TensorScope scope = TensorScope.open()) {
            DType wide = p.dtype().wide();
            Tensor wideP = p.to(wide);
            Tensor wideDp = dp.to(wide);
            Tensor expected = wideDp.times(wideP).sum(-1, true);
            dp.copyFrom(wideDp.minus(expected).mulInPlace(wideP).mulInPlace(scale));
        }
    }

    /** [sequences, matrices, rows, keys]. */
    private static Tensor bySequence(Tensor matrices, BlockMask mask) {
        return matrices.view(mask.sequences(), -1, mask.rows(), mask.keys());
    }
}
