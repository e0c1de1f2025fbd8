package org.qlora4j.autograd;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/** The values of one position of each row. */
public final class Position {
    private Position() {}

    /**
     * @param x [batch, time, hidden]
     * @param at from 0
     * @return [batch, 1, hidden]
     */
    public static Var apply(Tape tape, Var x, int at) {
        return tape.operation(
                "position",
                x.needsGrad(),
                call -> {
                    Tensor value = x.value();
                    DType dtype = value.dtype();
                    long[] shape = value.shape();
                    call.backward(gradient ->
                            x.accumulatePart(
                                    dtype, shape, whole -> whole.narrow(1, at, 1), gradient));
                    return value.narrow(1, at, 1).copy();
                });
    }
}
