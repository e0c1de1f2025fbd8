package org.qlora4j.autograd;

import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * Rotary position embedding in the half layout: with a head split as x = [x1 | x2], the result is
 * {@code [x1·cos - x2·sin | x2·cos + x1·sin]} (arXiv 2104.09864; transformers' {@code
 * rotate_half}). A table narrower than the halves turns the first values of a head alone, as halves
 * of their own. Computed in f32.
 */
public final class Rotary {
    private Rotary() {}

    /**
     * Cosines and sines of the angles.
     *
     * @param cos F32 [batch or 1, time, 1, half of the values that are turned]
     * @param sin likewise
     */
    public record Table(Tensor cos, Tensor sin) {}

    /**
     * @param x [batch, time, heads * headDim]
     * @param table must stay open until the backward pass
     * @return [batch, time, heads, headDim]
     */
    public static Var apply(Tape tape, Var x, Table table, int heads) {
        return tape.operation(
                "rotary",
                x.needsGrad(),
                call -> {
                    Tensor input = x.value();
                    long[] shape = input.shape();
                    call.backward(gradient -> {
                        Tensor dx =
                                Tensors.empty(
                                        input.dtype(), shape[0], shape[1], heads, shape[2] / heads);
                        rotate(gradient, table, -1, dx);
                        x.accumulate(dx.view(shape));
                    });
                    Tensor out =
                            call.result(input.dtype(), shape[0], shape[1], heads, shape[2] / heads);
                    rotate(input, table, 1, out);
                    return out;
                });
    }

    /**
     * Rotates by the angles, or back by them if {@code direction} is -1: the transpose, which is
     * the gradient.
     */
    private static void rotate(Tensor x, Table table, int direction, Tensor out) {
        Tensor rows = x.isContiguous() ? x : x.contiguous();
        Kernels.current().rotary().rotate(rows, table.cos(), table.sin(), direction, out);
    }
}
