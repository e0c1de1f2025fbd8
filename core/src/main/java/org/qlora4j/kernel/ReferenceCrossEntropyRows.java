package org.qlora4j.kernel;

import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** {@link CrossEntropyRows} in libtorch operations. */
record ReferenceCrossEntropyRows() implements CrossEntropyRows {
    @Override
    public double lossAndGradient(Tensor logits, long[] labels, boolean gradient) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor wide = logits.to(logits.dtype().wide());
            Tensor index = Tensors.of(labels, labels.length, 1);
            Tensor logSum = wide.logsumexp(1, true);
            double loss = logSum.minus(wide.gather(1, index)).sum().item();
            if (gradient) {
                Tensor dLogits = wide.minus(logSum).expInPlace(); // softmax
                dLogits.scatterAddInPlace(
                        1, index, Tensors.full(-1, wide.dtype(), labels.length, 1));
                logits.copyFrom(dLogits);
            }
            return loss;
        }
    }
}
