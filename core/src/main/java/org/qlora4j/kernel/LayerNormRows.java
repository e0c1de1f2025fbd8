package org.qlora4j.kernel;

import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.Tensor;

/**
 * LayerNorm of rows and its gradient (arXiv 1607.06450). It is computed in f32 (f64 for F64) and
 * rounded once, as libtorch's {@code layer_norm} does.
 */
public sealed interface LayerNormRows
        permits MetaKernels, ReferenceLayerNormRows, VectorLayerNormRows {
    /**
     * {@code y = (x - mean) / sqrt(variance + eps) * weight + bias}, the variance over all of a
     * row, not its length less one.
     *
     * @param x [..., hidden], contiguous
     * @param weight [hidden], of the type of x
     * @param bias [hidden], likewise
     * @param y written: the shape and type of x
     * @param statistics written: F32 (F64) [2, rows], means, then {@code 1 / sqrt(variance + eps)};
     *     null if no backward pass will need them
     */
    void forward(
            Tensor x,
            Tensor weight,
            Tensor bias,
            double eps,
            Tensor y,
            @Nullable Tensor statistics);

    /**
     * @param dy gradient of y
     * @param dx written: gradient of x
     */
    void backward(Tensor x, Tensor weight, Tensor statistics, Tensor dy, Tensor dx);
}
