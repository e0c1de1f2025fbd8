package org.qlora4j.kernel;

import org.qlora4j.tensor.Tensor;

/**
 * Weights and activations in 8 bits, a scale for each row: LLM.int8() (arXiv 2208.07339). A value
 * is {@code code * scale / 127}, where the scale is the largest magnitude of its row.
 */
public sealed interface RowInt8 permits MetaKernels, ReferenceRowInt8, VectorRowInt8 {
    /**
     * Rounds activations to 8 bits, and leaves columns with outliers as they are: those in which
     * any magnitude is at least the threshold. An outlier counts not for its row's scale. Codes are
     * those of the values in f16, as bitsandbytes takes them.
     *
     * @param x [rows, in], contiguous, of any float type
     * @param threshold 0 for no outliers
     * @param out written: the shape and type of x; not x itself
     */
    void round(Tensor x, double threshold, Tensor out);

    /**
     * Writes a weight as numbers: {@code codes * (scale / 127)} in f32, rounded once.
     *
     * @param codes I8 [out, in], contiguous
     * @param scales F32 [out]
     * @param out written: [out, in], contiguous, of any float type
     */
    void decode(Tensor codes, Tensor scales, Tensor out);
}
