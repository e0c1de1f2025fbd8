package org.qlora4j.kernel;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@code y = x · Wᵀ} for few rows x straight from 4-bit codes, as generation needs it: each weight
 * is read once and never written decoded. Products and sums are f32, or in machine code of {@link
 * WholeRows}, which lose about 1e-4 of the largest result; a row's result does not depend on the
 * other rows, to the bit.
 */
public sealed interface FourBitProduct
        permits MetaKernels,
                ReferenceFourBitProduct,
                VectorFourBitProduct,
                PairFourBitProduct,
                SseFourBitProduct,
                Avx2FourBitProduct,
                Avx512FourBitProduct {
    /**
     * Rows beyond which decoding the weight for one large matrix product is faster, for most of
     * these kernels.
     */
    int MOST_ROWS = 16;

    /**
     * Whether this kernel can do such a product, and is the faster way.
     *
     * @param dtype of x
     * @param rows of x
     * @param in input features of the weight
     */
    boolean takes(DType dtype, long rows, long in, int blockSize);

    /**
     * The product, where {@link #takes} says so.
     *
     * @param x [..., in], contiguous, F32 or BF16
     * @param codes of W [out, in] as {@link FourBit} packs them, blocks in row-major order
     * @param y written: [..., out], contiguous, of the type of x
     */
    void multiply(
            Tensor x, Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor y);
}
