package org.qlora4j.autograd;

import org.qlora4j.kernel.Activation;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/** An {@link Activation} of each value. */
public final class Activate {
    private Activate() {}

    /** x of any shape, to the same. */
    public static Var apply(Tape tape, Var x, Activation f) {
        return tape.operation(
                "activation",
                x.needsGrad(),
                call -> {
                    Tensor value = x.value();
                    Tensor input = call.save(value.isContiguous() ? value : value.contiguous());
                    call.backward(gradient -> {
                        Tensor dx = Tensors.empty(input.dtype(), input.shape());
                        Tensor dy = gradient.contiguous();
                        Kernels.current().activations().backward(f, input, dy, dx);
                        x.accumulate(dx);
                    });
                    Tensor y = call.result(input.dtype(), input.shape());
                    Kernels.current().activations().forward(f, input, y);
                    return y;
                });
    }
}
