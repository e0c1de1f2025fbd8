package org.qlora4j.kernel;

import java.util.List;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@code x · Wᵀ} for few rows x and a weight in 16 or 32 bits, as generation needs it. Products and
 * sums are f32; a row's result does not depend on the other rows, to the bit.
 */
public sealed interface DenseProduct
        permits MetaKernels, ReferenceDenseProduct, VectorDenseProduct {
    /** Rows beyond which libtorch's matrix product is faster. */
    int MOST_ROWS = 4;

    /** As {@link #MOST_ROWS}, for {@link #addUpdates} in machine code. */
    int MOST_UPDATED_ROWS = 64;

    /**
     * Whether this kernel is the faster way for such a product.
     *
     * @param dtype of x and W
     * @param rows of x
     */
    boolean takes(DType dtype, long rows);

    /**
     * Whether {@link #addUpdates} is the faster way for that many rows with these factors.
     *
     * @param a A [rank, in], of the type of x
     * @param b B [out, rank]
     */
    default boolean takesUpdates(Tensor a, Tensor b, long rows) {
        return takes(a.dtype(), rows);
    }

    /**
     * {@code y = x · Wᵀ}.
     *
     * @param x [..., in], contiguous
     * @param weight W [out, in], contiguous, of the type of x
     * @param y written: [..., out], contiguous, of the type of x or F32
     */
    void multiply(Tensor x, Tensor weight, Tensor y);

    /**
     * {@code y[row] += scale * B · (A · x[row])}, for each row by the factors of its part (S-LoRA,
     * arXiv 2311.03285). {@code A · x} is rounded to the type of x.
     *
     * @param x [rows, in], contiguous
     * @param parts whose rows do not meet; a row in none of them stays as it is
     * @param y changed: [rows, out], contiguous, of the type of x
     */
    void addUpdates(Tensor x, List<Update> parts, Tensor y);

    /**
     * Factors, and the rows that they are for.
     *
     * @param from first row
     * @param count number of rows
     * @param a A [rank, in], contiguous, of the type of x
     * @param b B [out, rank], contiguous, of the type of x
     */
    record Update(int from, int count, Tensor a, Tensor b, double scale) {}
}
