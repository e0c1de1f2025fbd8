package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** {@link CrossEntropyRows} in libtorch operations. */
record ReferenceCrossEntropyRows() implements CrossEntropyRows {
    @Override
    public double lossAndGradient(
            Tensor x, Tensor weight, Tensor logits, long[] labels, boolean gradient) {
        try (TensorScope scope = TensorScope.open()) {
            DType exact = x.dtype().wide();
            Tensor wide = x.dtype() == exact ? logits : x.to(exact).linear(weight.to(exact), null);
            Tensor index = Tensors.of(labels, labels.length, 1);
            Tensor never = Tensors.full(Double.NEGATIVE_INFINITY, exact, labels.length, 1);
            Tensor others = wide.copy().scatterAddInPlace(1, index, never);
            Tensor lead = others.logsumexp(1, true).minus(wide.gather(1, index)); // < 0 if it leads
            double loss = sumOfLogOnePlusExp(lead);
            if (gradient) {
                Tensor all = wide.logsumexp(1, true);
                Tensor dLogits = others.addInPlace(all.neg()).expInPlace(); // softmax
                dLogits.scatterAddInPlace(1, index, lead.sigmoid().neg());
                logits.copyFrom(dLogits);
            }
            return loss;
        }
    }

    /** The sum of {@code log(1 + exp(d))}, without loss where d is far below 0. */
    private static double sumOfLogOnePlusExp(Tensor d) {
        double[] values = new double[Math.toIntExact(d.count())];
        d.to(DType.F64).copyTo(MemorySegment.ofArray(values));
        double sum = 0;
        for (double x : values) {
            sum += Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
        }
        return sum;
    }
}
