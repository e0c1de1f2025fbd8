package org.qlora4j.kernel;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** {@link FourBitProduct} in libtorch operations: decode, then multiply, in f32. */
record ReferenceFourBitProduct() implements FourBitProduct {
    @Override
    public boolean takes(DType dtype, long rows, long in, int blockSize) {
        return false;
    }

    @Override
    public void multiply(
            Tensor x, Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor y) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor weight = Tensors.empty(DType.F32, y.size(-1), x.size(-1));
            new ReferenceFourBit().dequantize(codes, scales, table, blockSize, weight);
            y.copyFrom(x.to(DType.F32).linear(weight, null));
        }
    }
}
