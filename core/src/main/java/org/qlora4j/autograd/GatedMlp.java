package org.qlora4j.autograd;

import org.qlora4j.kernel.Activation;
import org.qlora4j.kernel.Gate;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/** {@code f(gate) * up}, the inner part of a gated MLP (arXiv 2002.05202). */
public final class GatedMlp {
    private GatedMlp() {}

    /** All of one shape. */
    public static Var apply(Tape tape, Gate f, Var gate, Var up) {
        return tape.operation(
                "gatedMlp",
                gate.needsGrad() || up.needsGrad(),
                call -> {
                    Tensor g = call.save(gate.value());
                    Tensor u = call.save(up.value());
                    call.backward(gradient -> {
                        up.accumulate(open(f, g).mulInPlace(gradient));
                        gate.accumulate(closed(f, gradient.times(u), g));
                    });
                    if (tape.dropsOut() || !g.isContiguous() || !u.isContiguous()) {
                        return open(f, g).mulInPlace(u);
                    }
                    Tensor y = call.result(g.dtype(), g.shape());
                    Kernels.current().elements().gate(f, g, u, y);
                    return y;
                });
    }

    /** f(x). */
    private static Tensor open(Gate f, Tensor x) {
        return switch (f) {
            case SILU -> x.silu();
            case GELU_TANH -> {
                Tensor y = Tensors.empty(x.dtype(), x.shape());
                Kernels.current().activations().forward(Activation.GELU_TANH, x.contiguous(), y);
                yield y;
            }
        };
    }

    /** The gradient of x, of that of f(x), which it may overwrite. */
    private static Tensor closed(Gate f, Tensor dy, Tensor x) {
        return switch (f) {
            case SILU -> dy.siluBackward(x);
            case GELU_TANH -> {
                Tensor own = dy.contiguous();
                Activation gelu = Activation.GELU_TANH;
                Kernels.current().activations().backward(gelu, x.contiguous(), own, own);
                yield own;
            }
        };
    }
}
