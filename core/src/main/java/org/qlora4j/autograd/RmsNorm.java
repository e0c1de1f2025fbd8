package org.qlora4j.autograd;

import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * {@code y = (weight + shift) * x / sqrt(mean(x²) + eps)} over the last dimension, with statistics
 * in f32 (arXiv 1910.07467; the rounding is that of transformers' LlamaRMSNorm without a shift, of
 * its GemmaRMSNorm with one).
 */
public final class RmsNorm {
    private RmsNorm() {}

    /**
     * @param x [..., hidden], or [..., n * hidden] to norm each of the n parts alone
     * @param weight [hidden]
     * @return the shape of x
     */
    public static Var apply(Tape tape, Var x, Parameter weight, double eps) {
        return apply(tape, x, weight, 0, eps);
    }

    /**
     * As {@link #apply(Tape, Var, Parameter, double)}.
     *
     * @param shift added to each weight: 1 where weights are kept around 0
     */
    public static Var apply(Tape tape, Var x, Parameter weight, float shift, double eps) {
        return tape.operation(
                "rmsNorm",
                x.needsGrad() || weight.trainable(),
                call -> {
                    Tensor value = x.value();
                    Tensor input = call.save(value.isContiguous() ? value : value.contiguous());
                    DType compute = input.dtype();
                    Tensor y = call.result(compute, input.shape());
                    Tensor rows = parts(input, weight);
                    if (!call.recording()) {
                        Kernels.current()
                                .norm()
                                .forward(rows, weight.value(), shift, eps, parts(y, weight), null);
                        return y;
                    }
                    Tensor inverse =
                            call.save(Tensors.empty(compute.wide(), rows.count() / rows.size(-1)));
                    Kernels.current()
                            .norm()
                            .forward(rows, weight.value(), shift, eps, parts(y, weight), inverse);
                    call.backward(gradient -> {
                        Tensor dy = gradient.contiguous();
                        if (weight.trainable()) {
                            long hidden = weight.value().size(0);
                            Tensor wide = input.view(-1, hidden).to(compute.wide());
                            Tensor normed = wide.times(inverse.view(-1, 1));
                            weight.grad()
                                    .addInPlace(
                                            normed.mulInPlace(dy.view(-1, hidden)).sum(0, false));
                        }
                        if (x.needsGrad()) {
                            Tensor dx = Tensors.empty(compute, input.shape());
                            Kernels.current()
                                    .norm()
                                    .backward(
                                            parts(input, weight),
                                            weight.value(),
                                            shift,
                                            inverse,
                                            parts(dy, weight),
                                            parts(dx, weight));
                            x.accumulate(dx);
                        }
                    });
                    return y;
                });
    }

    /** A view whose rows are as long as the weight. */
    private static Tensor parts(Tensor x, Parameter weight) {
        long size = weight.value().size(0);
        return x.size(-1) == size ? x : x.view(-1, size);
    }
}
