package org.qlora4j.autograd;

import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * {@code y = weight * x / sqrt(mean(x²) + eps)} over the last dimension, with statistics in f32
 * (arXiv 1910.07467; the rounding is that of transformers' LlamaRMSNorm).
 */
public final class RmsNorm {
    private RmsNorm() {}

    /**
     * @param x [..., hidden]
     * @param weight [hidden]
     * @return the shape of x
     */
    public static Var apply(Tape tape, Var x, Parameter weight, double eps) {
        return tape.operation(
                "rmsNorm",
                x.needsGrad() || weight.trainable(),
                call -> {
                    Tensor value = x.value();
                    Tensor input = call.save(value.isContiguous() ? value : value.contiguous());
                    DType compute = input.dtype();
                    Tensor y = call.result(compute, input.shape());
                    if (!call.recording()) {
                        Kernels.current().norm().forward(input, weight.value(), eps, y, null);
                        return y;
                    }
                    Tensor inverse =
                            call.save(
                                    Tensors.empty(compute.wide(), input.count() / input.size(-1)));
                    Kernels.current().norm().forward(input, weight.value(), eps, y, inverse);
                    call.backward(gradient -> {
                        Tensor dy = gradient.contiguous();
                        if (weight.trainable()) {
                            long hidden = weight.value().size(0);
                            Tensor rows = input.view(-1, hidden).to(compute.wide());
                            Tensor normed = rows.times(inverse.view(-1, 1));
                            weight.grad()
                                    .addInPlace(
                                            normed.mulInPlace(dy.view(-1, hidden)).sum(0, false));
                        }
                        if (x.needsGrad()) {
                            Tensor dx = Tensors.empty(compute, input.shape());
                            Kernels.current()
                                    .norm()
                                    .backward(input, weight.value(), inverse, dy, dx);
                            x.accumulate(dx);
                        }
                    });
                    return y;
                });
    }
}
