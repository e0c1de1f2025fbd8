package org.qlora4j.kernel;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@code y = x · Wᵀ} for few rows x and a weight in 8 bits, as generation needs it for the head:
 * weight j of a line is {@code codes[j] * scales[j / 32]}. Products and sums are f32; a row's
 * result does not depend on the other rows, to the bit.
 */
public sealed interface EightBitProduct
        permits ReferenceEightBitProduct,
                VectorEightBitProduct,
                SseEightBitProduct,
                Avx2EightBitProduct,
                Avx512EightBitProduct {
    /** Weights of a line that share a scale. */
    int BLOCK = 32;

    /** Rows beyond which a product with the weight in 16 bits is faster. */
    int MOST_ROWS = 16;

    /**
     * Whether this kernel can do such a product, and is the faster way.
     *
     * @param dtype of x
     * @param rows of x
     */
    boolean takes(DType dtype, long rows);

    /**
     * The product, where {@link #takes} says so.
     *
     * @param x [..., in], contiguous, F32 or BF16; in is a multiple of 32
     * @param codes I8 [out, in], contiguous
     * @param scales F32 [out, in / 32], contiguous
     * @param y written: F32 [..., out], contiguous
     */
    void multiply(Tensor x, Tensor codes, Tensor scales, Tensor y);
}
