package org.qlora4j.autograd;

import org.qlora4j.tensor.Tensor;

/** Splits a projection into heads: a view. */
public final class Heads {
    private Heads() {}

    /**
     * @param x [batch, time, heads * headDim]
     * @return [batch, time, heads, headDim]
     */
    public static Var split(Tape tape, Var x, int heads) {
        return tape.operation(
                "heads",
                x.needsGrad(),
                call -> {
                    Tensor value = x.value();
                    long[] s = value.shape();
                    call.backward(gradient -> x.accumulate(gradient.reshape(s).copy()));
                    return value.reshape(s[0], s[1], heads, s[2] / heads);
                });
    }
}
