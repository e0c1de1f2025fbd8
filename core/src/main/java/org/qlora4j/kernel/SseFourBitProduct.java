package org.qlora4j.kernel;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link FourBitProduct} in machine code for SSE4.1, on Linux: the program that {@link
 * Avx2FourBitProduct} has for few rows, with vectors of 16 bytes.
 */
record SseFourBitProduct(Workers workers) implements FourBitProduct {
    @Override
    public boolean takes(DType dtype, long rows, long in, int blockSize) {
        return rows <= MOST_ROWS && MachineLines.takes(dtype, in, blockSize);
    }

    @Override
    public void multiply(
            Tensor x, Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor y) {
        long in = x.size(-1);
        boolean takes = takes(x.dtype(), x.count() / in, in, blockSize);
        MachineLines.requireFit(x, codes, scales, blockSize, y, takes);
        Avx2FourBitProduct.multiplyFew(
                workers, X86Vectors.SSE, x, codes, scales, table, blockSize, y);
    }
}
