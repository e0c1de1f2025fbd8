package org.qlora4j.autograd;

import org.qlora4j.kernel.Kernels;
import org.qlora4j.kernel.LayerNormRows;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * {@code y = (x - mean) / sqrt(variance + eps) * weight + bias} over the last dimension (arXiv
 * 1607.06450), computed in f32 and rounded once.
 */
public final class LayerNorm {
    private LayerNorm() {}

    /**
     * @param x [..., hidden]
     * @param weight [hidden]
     * @param bias [hidden]
     * @return the shape of x
     */
    public static Var apply(Tape tape, Var x, Parameter weight, Parameter bias, double eps) {
        return tape.operation(
                "layerNorm",
                x.needsGrad() || weight.trainable() || bias.trainable(),
                call -> {
                    LayerNormRows kernel = Kernels.current().layerNorm();
                    Tensor value = x.value();
                    Tensor input = call.save(value.isContiguous() ? value : value.contiguous());
                    DType compute = input.dtype();
                    long hidden = input.size(-1);
                    Tensor y = call.result(compute, input.shape());
                    if (!call.recording()) {
                        kernel.forward(input, weight.value(), bias.value(), eps, y, null);
                        return y;
                    }
                    Tensor statistics =
                            call.save(Tensors.empty(compute.wide(), 2, input.count() / hidden));
                    kernel.forward(input, weight.value(), bias.value(), eps, y, statistics);
                    call.backward(gradient -> {
                        Tensor dy = gradient.contiguous();
                        if (weight.trainable()) {
                            Tensor normed = normed(input, statistics, hidden);
                            weight.grad()
                                    .addInPlace(
                                            normed.mulInPlace(dy.view(-1, hidden)).sum(0, false));
                        }
                        if (bias.trainable()) {
                            Tensor rows = dy.view(-1, hidden).to(compute.wide());
                            bias.grad().addInPlace(rows.sum(0, false));
                        }
                        if (x.needsGrad()) {
                            Tensor dx = Tensors.empty(compute, input.shape());
                            kernel.backward(input, weight.value(), statistics, dy, dx);
                            x.accumulate(dx);
                        }
                    });
                    return y;
                });
    }

    /** {@code (x - mean) / sqrt(variance + eps)}, [rows, hidden]. */
    private static Tensor normed(Tensor x, Tensor statistics, long hidden) {
        Tensor rows = x.view(-1, hidden).to(statistics.dtype());
        return rows.minus(statistics.select(0, 0).unsqueeze(1))
                .mulInPlace(statistics.select(0, 1).unsqueeze(1));
    }
}
