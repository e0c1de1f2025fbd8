package org.qlora4j.kernel;

import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/** {@link NormRows} in libtorch operations. */
record ReferenceNormRows() implements NormRows {
    @Override
    public void forward(
            Tensor x, Tensor weight, float shift, double eps, Tensor y, @Nullable Tensor inverse) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor rows = rows(x, weight).to(x.dtype().wide());
            Tensor scale = rows.square().mean(-1, true).addInPlace(eps).rsqrt();
            if (inverse != null) {
                inverse.copyFrom(scale.view(inverse.shape()));
            }
            Tensor normed = rows.times(scale);
            Tensor out =
                    shift == 0
                            ? normed.to(x.dtype()).times(weight)
                            : normed.mulInPlace(shifted(weight, shift));
            y.copyFrom(out.view(y.shape()));
        }
    }

    @Override
    public void backward(
            Tensor x, Tensor weight, float shift, Tensor inverse, Tensor dy, Tensor dx) {
        try (TensorScope scope = TensorScope.open()) {
            DType wide = x.dtype().wide();
            Tensor scale = inverse.view(inverse.count(), 1);
            Tensor normed = rows(x, weight).to(wide).times(scale);
            Tensor dNormed = rows(dy, weight).to(wide).times(shifted(weight, shift));
            Tensor mean = dNormed.times(normed).mean(-1, true);
            dx.copyFrom(
                    dNormed.subInPlace(normed.mulInPlace(mean)).mulInPlace(scale).view(dx.shape()));
        }
    }

    private static Tensor shifted(Tensor weight, float shift) {
        return shift == 0 ? weight : weight.to(weight.dtype().wide()).plus(shift);
    }

    private static Tensor rows(Tensor x, Tensor weight) {
        return x.view(x.count() / weight.count(), weight.count());
    }
}
