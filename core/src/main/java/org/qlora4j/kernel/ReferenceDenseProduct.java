package org.qlora4j.kernel;

import java.util.List;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/** {@link DenseProduct} in libtorch operations. */
record ReferenceDenseProduct() implements DenseProduct {
    @Override
    public boolean takes(DType dtype, long rows) {
        return false;
    }

    @Override
    public void multiply(Tensor x, Tensor weight, Tensor y) {
        try (TensorScope scope = TensorScope.open()) {
            y.copyFrom(product(x, weight));
        }
    }

    @Override
    public void addUpdates(Tensor x, List<Update> parts, Tensor y) {
        for (Update part : parts) {
            try (TensorScope scope = TensorScope.open()) {
                Tensor rows = x.narrow(0, part.from(), part.count());
                Tensor down = product(rows, part.a()).to(x.dtype());
                Tensor own = y.narrow(0, part.from(), part.count());
                own.copyFrom(product(down, part.b()).mulInPlace(part.scale()).addInPlace(own));
            }
        }
    }

    private static Tensor product(Tensor x, Tensor weight) {
        DType wide = x.dtype().wide();
        return x.to(wide).linear(weight.to(wide), null);
    }
}
