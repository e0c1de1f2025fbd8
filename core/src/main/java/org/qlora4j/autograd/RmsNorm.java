package org.qlora4j.autograd;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

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
                    Tensor input = call.save(x.value());
                    DType compute = input.dtype();
                    Tensor wide = input.to(compute.wide());
                    Tensor inverse =
                            call.save(
                                    wide.square()
                                            .mean(-1, true)
                                            .addInPlace(eps)
                                            .rsqrt()); // [..., 1]
                    call.backward(gradient -> {
                        Tensor normed = input.to(compute.wide()).times(inverse);
                        Tensor dy = gradient.to(compute.wide());
                        if (weight.trainable()) {
                            long hidden = weight.value().size(0);
                            weight.grad()
                                    .addInPlace(dy.times(normed).view(-1, hidden).sum(0, false));
                        }
                        if (x.needsGrad()) {
                            Tensor dNormed = dy.times(weight.value());
                            Tensor mean = dNormed.times(normed).mean(-1, true);
                            Tensor dx =
                                    dNormed.subInPlace(normed.mulInPlace(mean)).mulInPlace(inverse);
                            x.accumulate(dx.to(compute));
                        }
                    });
                    return wide.times(inverse).to(compute).times(weight.value());
                });
    }
}
