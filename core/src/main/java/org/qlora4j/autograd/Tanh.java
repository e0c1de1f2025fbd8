package org.qlora4j.autograd;

import org.qlora4j.tensor.Tensor;

/** {@code tanh} of each value: between the linears of a classifier, so of a row a text. */
public final class Tanh {
    private Tanh() {}

    /** x of any shape, to the same. */
    public static Var apply(Tape tape, Var x) {
        return tape.operation(
                "tanh",
                x.needsGrad(),
                call -> {
                    Tensor y = call.save(x.value().tanh());
                    call.backward(gradient -> {
                        Tensor slope = y.square().neg().plus(1);
                        x.accumulate(slope.mulInPlace(gradient));
                    });
                    return y.alias();
                });
    }
}
