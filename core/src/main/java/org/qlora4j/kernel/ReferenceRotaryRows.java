package org.qlora4j.kernel;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/** {@link RotaryRows} in libtorch operations. */
record ReferenceRotaryRows() implements RotaryRows {
    @Override
    public void rotate(Tensor x, Tensor cos, Tensor sin, int direction, Tensor out) {
        try (TensorScope scope = TensorScope.open()) {
            DType wide = x.dtype().wide();
            long half = cos.size(3);
            long rest = out.size(3) - 2 * half;
            Tensor heads = x.view(out.shape());
            Tensor x1 = heads.narrow(3, 0, half).to(wide);
            Tensor x2 = heads.narrow(3, half, half).to(wide);
            out.narrow(3, 0, half).copyFrom(x1.times(cos).addcmulInPlace(x2, sin, -direction));
            out.narrow(3, half, half).copyFrom(x2.times(cos).addcmulInPlace(x1, sin, direction));
            out.narrow(3, 2 * half, rest).copyFrom(heads.narrow(3, 2 * half, rest));
        }
    }
}
