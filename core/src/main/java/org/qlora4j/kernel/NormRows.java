package org.qlora4j.kernel;

import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.Tensor;

/**
 * RMSNorm of rows and its gradient, with statistics in f32 (f64 for F64): {@code x · inverse ·
 * (weight + shift)}. Without a shift it rounds as transformers' LlamaRMSNorm does, the normed value
 * to the type of x, then the product with the weight; with one as GemmaRMSNorm does, once.
 */
public sealed interface NormRows permits MetaKernels, ReferenceNormRows, VectorNormRows {
    /**
     * @param x [..., hidden], contiguous
     * @param weight [hidden], of the type of x
     * @param shift added to each weight, in f32: 0, or 1 where weights are kept around 0
     * @param y written: the shape and type of x
     * @param inverse written: F32 (F64) [rows], {@code 1 / sqrt(mean(x²) + eps)}; null if no
     *     backward pass will need it
     */
    void forward(
            Tensor x, Tensor weight, float shift, double eps, Tensor y, @Nullable Tensor inverse);

    /**
     * @param dy gradient of y
     * @param dx written: gradient of x
     */
    void backward(Tensor x, Tensor weight, float shift, Tensor inverse, Tensor dy, Tensor dx);
}
