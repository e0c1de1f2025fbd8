package org.qlora4j.autograd;

import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.Tensor;

/** {@code silu(gate) * up}, the inner part of a gated MLP (SwiGLU, arXiv 2002.05202). */
public final class GatedMlp {
    private GatedMlp() {}

    /** All of one shape. */
    public static Var apply(Tape tape, Var gate, Var up) {
        return tape.operation(
                "gatedMlp",
                gate.needsGrad() || up.needsGrad(),
                call -> {
                    Tensor g = call.save(gate.value());
                    Tensor u = call.save(up.value());
                    call.backward(gradient -> {
                        up.accumulate(g.silu().mulInPlace(gradient));
                        gate.accumulate(gradient.times(u).siluBackward(g));
                    });
                    if (tape.dropsOut() || !g.isContiguous() || !u.isContiguous()) {
                        return g.silu().mulInPlace(u);
                    }
                    Tensor y = call.result(g.dtype(), g.shape());
                    Kernels.current().elements().gate(g, u, y);
                    return y;
                });
    }
}
