package org.qlora4j.autograd;

import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/** {@code a + b}: the residual connection. */
public final class Add {
    private Add() {}

    /** Both of one shape. */
    public static Var apply(Tape tape, Var a, Var b) {
        return tape.operation(
                "add",
                a.needsGrad() || b.needsGrad(),
                call -> {
                    call.backward(gradient -> {
                        a.accumulateShared(gradient);
                        b.accumulateShared(gradient);
                    });
                    Tensor x = a.value();
                    Tensor y = b.value();
                    if (call.leavesOut(Tape.Reads.NOTHING)) {
                        return Tensors.empty(x.dtype(), x.shape());
                    }
                    if (tape.dropsOut() || !x.isContiguous() || !y.isContiguous()) {
                        return x.plus(y);
                    }
                    Tensor sum = call.result(x.dtype(), x.shape());
                    Kernels.current().elements().add(x, y, sum);
                    return sum;
                });
    }
}
