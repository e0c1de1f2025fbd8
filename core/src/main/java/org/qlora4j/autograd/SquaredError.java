package org.qlora4j.autograd;

import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * The head's one number for each row, and its summed squared distance to what it should be: the
 * loss of a regression (STS-B), as transformers has it.
 */
public final class SquaredError {
    private SquaredError() {}

    /**
     * @param hidden [batch, 1, hidden], the input of the head
     * @param head of one output
     * @param wanted [batch]
     * @return F32 []: the sum over rows of (number - wanted)²
     */
    public static Var sum(Tape tape, Var hidden, Head head, float[] wanted) {
        long rows = hidden.value().count() / head.weight().in();
        if (wanted.length != rows || head.vocabulary() != 1) {
            throw new IllegalArgumentException(
                    "squared error: %d numbers for %d rows of %d outputs"
                            .formatted(wanted.length, rows, head.vocabulary()));
        }
        return tape.operation(
                "squaredError",
                hidden.needsGrad() || head.trains(),
                call -> {
                    long[] shape = hidden.value().shape();
                    Tensor inputs = hidden.value().reshape(rows, shape[shape.length - 1]);
                    Tensor weight = head.weight().dense(inputs.dtype());
                    Tensor wide = inputs.linear(weight, null).to(inputs.dtype().wide());
                    Tensor numbers = call.save(head.finish(wide)); // [rows, 1]
                    Tensor target = Tensors.of(wanted, rows, 1).to(numbers.dtype());
                    Tensor distance = call.save(numbers.minus(target));
                    call.backward(gradient -> {
                        Tensor slope = distance.times(2 * gradient.item());
                        Tensor dProducts = head.unfinish(slope, numbers).to(inputs.dtype());
                        if (head.weight() instanceof Weight.Dense(Parameter p) && p.trainable()) {
                            Tensor rowsIn = hidden.value().reshape(rows, shape[shape.length - 1]);
                            Linear.addProduct(p.grad(), dProducts.t(), rowsIn, 1);
                        }
                        if (hidden.needsGrad()) {
                            Tensor matrix = head.weight().dense(dProducts.dtype());
                            hidden.accumulate(dProducts.mm(matrix).view(shape));
                        }
                    });
                    return distance.square().sum();
                });
    }
}
