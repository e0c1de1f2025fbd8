package org.qlora4j.kernel;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/** {@link EightBitProduct} in libtorch operations: decode, then multiply, in f32. */
record ReferenceEightBitProduct() implements EightBitProduct {
    @Override
    public boolean takes(DType dtype, long rows) {
        return false;
    }

    @Override
    public void multiply(Tensor x, Tensor codes, Tensor scales, Tensor y) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor blocks = codes.to(DType.F32).view(codes.size(0), codes.size(1) / BLOCK, BLOCK);
            Tensor weight = blocks.times(scales.unsqueeze(2)).view(codes.shape());
            y.copyFrom(x.to(DType.F32).linear(weight, null));
        }
    }
}
