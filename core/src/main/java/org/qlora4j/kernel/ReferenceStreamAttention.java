package org.qlora4j.kernel;

import static java.util.Objects.requireNonNull;

import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/** {@link StreamAttention} in libtorch operations. */
record ReferenceStreamAttention() implements StreamAttention {
    @Override
    public void step(
            Tensor q,
            Tensor k,
            Tensor v,
            @Nullable Tensor[] keys,
            @Nullable Tensor[] values,
            int[] lengths,
            double scale,
            double softcap,
            int window,
            Tensor out) {
        for (int row = 0; row < lengths.length; row++) {
            try (TensorScope scope = TensorScope.open()) {
                Tensor target = out.select(0, row);
                int at = lengths[row];
                if (at < 0) {
                    target.zero();
                    continue;
                }
                Tensor rowKeys = requireNonNull(keys[row]);
                Tensor rowValues = requireNonNull(values[row]);
                long kvHeads = rowValues.size(0);
                long headDim = rowValues.size(2);
                Tensor newKey = k.select(0, row).reshape(kvHeads, headDim);
                Tensor newValue = v.select(0, row).reshape(kvHeads, headDim);
                rowKeys.select(1, at / BLOCK).select(2, at % BLOCK).copyFrom(newKey);
                rowValues.select(1, at).copyFrom(newValue);
                Tensor heads = q.select(0, row).reshape(-1, headDim);
                Tensor y = attend(heads, rowKeys, rowValues, at + 1, scale, softcap, window);
                target.copyFrom(y.view(target.shape()));
            }
        }
    }

    /** [heads, headDim]. */
    private static Tensor attend(
            Tensor q,
            Tensor keys,
            Tensor values,
            int end,
            double scale,
            double softcap,
            int window) {
        int first = window == 0 ? 0 : Math.max(0, end - window);
        int seen = end - first;
        DType wide = q.dtype().wide();
        long kvHeads = keys.size(0);
        long headDim = keys.size(2);
        Tensor grouped = q.to(wide).view(kvHeads, q.size(0) / kvHeads, headDim);
        Tensor across = // [kvHeads, headDim, seen]
                keys.to(wide)
                        .permute(0, 2, 1, 3)
                        .reshape(kvHeads, headDim, keys.size(1) * BLOCK)
                        .narrow(2, first, seen);
        Tensor scores = grouped.bmm(across).mulInPlace(scale);
        if (softcap != 0) {
            scores = scores.mulInPlace(1 / softcap).tanh().mulInPlace(softcap);
        }
        Tensor p = scores.softmax(-1);
        return p.bmm(values.narrow(1, first, seen).to(wide)).view(q.shape());
    }
}
