package org.qlora4j.kernel;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** {@link RowInt8} in libtorch operations. */
record ReferenceRowInt8() implements RowInt8 {
    /** Added and taken away again it rounds a small float to the nearest integer, ties to even. */
    private static final double ROUNDING = 12582912;

    @Override
    public void round(Tensor x, double threshold, Tensor out) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor values = x.to(DType.F16).to(DType.F32);
            Tensor magnitudes = values.abs();
            Tensor columns = null; // 1 where there is an outlier
            if (threshold > 0) {
                Tensor least = Tensors.full(threshold, DType.F32, 1);
                Tensor small = magnitudes.lessThan(least).to(DType.F32);
                columns = small.times(-1).addInPlace(1L).amax(0, true);
                magnitudes = magnitudes.times(small);
            }
            Tensor largest = magnitudes.amax(1, true);
            largest.maskedFillInPlace(largest.equalTo(0), 127);
            Tensor rounded =
                    values.times(largest.reciprocal().mulInPlace(127.0))
                            .addInPlace(ROUNDING)
                            .addInPlace(-ROUNDING)
                            .mulInPlace(largest.times(1 / 127.0));
            if (columns != null) {
                Tensor kept = x.to(DType.F32).times(columns);
                rounded.mulInPlace(columns.times(-1).addInPlace(1L)).addInPlace(kept);
            }
            out.copyFrom(rounded);
        }
    }

    @Override
    public void decode(Tensor codes, Tensor scales, Tensor out) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor each = scales.times(1 / 127.0).unsqueeze(1);
            out.copyFrom(codes.to(DType.F32).mulInPlace(each));
        }
    }
}
