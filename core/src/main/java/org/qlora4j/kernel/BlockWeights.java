package org.qlora4j.kernel;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * Weights in {@linkplain BlockType blocks} as a GGUF file stores them: decoded, and multiplied by
 * few rows without being written decoded. A decoded weight is {@link BlockDecoder}'s to the bit.
 */
public sealed interface BlockWeights
        permits MetaKernels, ReferenceBlockWeights, VectorBlockWeights {
    /** Rows beyond which decoding the weight for one large matrix product is faster. */
    int MOST_ROWS = 16;

    /**
     * Writes a weight as numbers, rounded once to the type of {@code out}.
     *
     * @param blocks U8 [out, bytes of a line], contiguous
     * @param type a {@linkplain BlockType#KEPT kept} one
     * @param out written: [out, in], contiguous, of any float type
     */
    void decode(Tensor blocks, BlockType type, Tensor out);

    /**
     * Whether there is a kernel for such a product that is the faster way.
     *
     * @param dtype of x
     * @param rows of x
     */
    boolean takes(DType dtype, long rows);

    /**
     * {@code y = x · Wᵀ} where {@link #takes} says so. Products and sums are f32; a row's result
     * does not depend on the other rows, to the bit.
     *
     * @param x [..., in], contiguous, F32 or BF16
     * @param blocks of W, as in {@link #decode}
     * @param y written: [..., out], contiguous, of the type of x
     */
    void multiply(Tensor x, Tensor blocks, BlockType type, Tensor y);
}
