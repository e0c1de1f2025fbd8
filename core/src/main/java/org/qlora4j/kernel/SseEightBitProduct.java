package org.qlora4j.kernel;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link EightBitProduct} in machine code for SSE4.1, on Linux: the program of {@link
 * Avx2EightBitProduct}, with vectors of 16 bytes.
 */
record SseEightBitProduct(Workers workers) implements EightBitProduct {
    @Override
    public boolean takes(DType dtype, long rows) {
        return VectorEightBitProduct.fits(dtype, rows);
    }

    @Override
    public void multiply(Tensor x, Tensor codes, Tensor scales, Tensor y) {
        Avx2EightBitProduct.multiply(workers, X86Vectors.SSE, x, codes, scales, y);
    }
}
