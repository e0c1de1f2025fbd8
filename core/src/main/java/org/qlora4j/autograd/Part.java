package org.qlora4j.autograd;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/** A part of each row: one of several projections that a fused linear makes at once. */
public final class Part {
    private Part() {}

    /**
     * Columns {@code from} to {@code from + width} of each of some equal groups of columns.
     *
     * @param x [batch, time, groups * n]
     * @param groups 1, or the heads if each has its own parts behind each other
     * @return [batch, time, groups * width]
     */
    public static Var apply(Tape tape, Var x, int groups, int from, int width) {
        return tape.operation(
                "part",
                x.needsGrad(),
                call -> {
                    Tensor value = x.value();
                    DType dtype = value.dtype();
                    long[] s = value.shape();
                    long n = s[2] / groups;
                    call.backward(gradient ->
                            x.accumulatePart(
                                    dtype,
                                    s,
                                    whole ->
                                            whole.view(s[0], s[1], groups, n)
                                                    .narrow(3, from, width),
                                    gradient.view(s[0], s[1], groups, width)));
                    Tensor part = call.result(dtype, s[0], s[1], (long) groups * width);
                    part.view(s[0], s[1], groups, width)
                            .copyFrom(value.view(s[0], s[1], groups, n).narrow(3, from, width));
                    return part;
                });
    }
}
