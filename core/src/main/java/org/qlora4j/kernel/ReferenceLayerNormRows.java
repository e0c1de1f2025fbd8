package org.qlora4j.kernel;

import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/** {@link LayerNormRows} in libtorch operations. */
record ReferenceLayerNormRows() implements LayerNormRows {
    @Override
    public void forward(
            Tensor x,
            Tensor weight,
            Tensor bias,
            double eps,
            Tensor y,
            @Nullable Tensor statistics) {
        try (TensorScope scope = TensorScope.open()) {
            DType wide = x.dtype().wide();
            Tensor rows = rows(x, weight).to(wide);
            Tensor mean = rows.mean(-1, true);
            Tensor centered = rows.minus(mean);
            Tensor inverse = centered.square().mean(-1, true).addInPlace(eps).rsqrt();
            if (statistics != null) {
                statistics.select(0, 0).copyFrom(mean.view(mean.size(0)));
                statistics.select(0, 1).copyFrom(inverse.view(mean.size(0)));
            }
            Tensor scaled = centered.mulInPlace(inverse).mulInPlace(weight.to(wide));
            y.copyFrom(scaled.addInPlace(bias.to(wide)).view(y.shape()));
        }
    }

    @Override
    public void backward(Tensor x, Tensor weight, Tensor statistics, Tensor dy, Tensor dx) {
        try (TensorScope scope = TensorScope.open()) {
            DType wide = x.dtype().wide();
            Tensor mean = statistics.select(0, 0).unsqueeze(1);
            Tensor inverse = statistics.select(0, 1).unsqueeze(1);
            Tensor normed = rows(x, weight).to(wide).minus(mean).mulInPlace(inverse);
            Tensor dNormed = rows(dy, weight).to(wide).times(weight);
            Tensor pull = dNormed.times(normed).mean(-1, true);
            Tensor shift = dNormed.mean(-1, true);
            Tensor all = dNormed.subInPlace(normed.mulInPlace(pull)).subInPlace(shift);
            dx.copyFrom(all.mulInPlace(inverse).view(dx.shape()));
        }
    }

    private static Tensor rows(Tensor x, Tensor weight) {
        return x.view(x.count() / weight.count(), weight.count());
    }
}
