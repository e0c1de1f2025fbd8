package org.qlora4j.autograd;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.DenseProduct;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * Updates of several adapters on one linear layer, each for rows of its own of a batch: the product
 * with the layer's weight is one for all rows, each low-rank product takes its own (S-LoRA, arXiv
 * 2311.03285). For generation alone: it has no backward pass. It owns nothing.
 *
 * @param parts in the order of their rows; a row in none of them has no update
 */
public record RowUpdates(List<Part> parts) {
    /**
     * An update and the rows that it serves.
     *
     * @param from first row of the batch
     * @param count number of rows
     */
    public record Part(int from, int count, LinearUpdate update) {}

    public RowUpdates {
        parts = List.copyOf(parts);
    }

    /**
     * The layer with its updates.
     *
     * @param x [batch, ..., in]
     * @param bias [out] or null
     * @return [batch, ..., out]
     */
    public Var apply(Tape tape, Var x, Weight weight, @Nullable Parameter bias) {
        if (x.needsGrad()) {
            throw new IllegalStateException("updates by row have no backward pass");
        }
        return tape.operation(
                "rowUpdates",
                false,
                call -> {
                    Tensor input = x.value();
                    // DoRA stretches all but the bias
                    boolean biasLast =
                            parts.stream().anyMatch(part -> part.update instanceof DoraFactors);
                    Parameter first = biasLast ? null : bias;
                    Tensor y = Linear.fewRows(call, input, weight, first, null);
                    if (y == null) {
                        long[] shape = input.shape();
                        shape[shape.length - 1] = weight.out();
                        y =
                                weight.input(input.reshape(-1, weight.in()))
                                        .linear(
                                                weight.dense(input.dtype()),
                                                first == null ? null : first.value())
                                        .view(shape);
                    }
                    for (Part part : parts) {
                        add(
                                part.update,
                                weight,
                                input.narrow(0, part.from, part.count),
                                y.narrow(0, part.from, part.count));
                    }
                    return biasLast && bias != null ? y.addInPlace(bias.value()) : y;
                });
    }

    private static void add(LinearUpdate update, Weight weight, Tensor input, Tensor output) {
        LoraFactors lora = update.lora();
        DType compute = input.dtype();
        Tensor x = input.reshape(-1, weight.in());
        Tensor y = output.view(-1, weight.out());
        DenseProduct dense = Kernels.current().denseProduct();
        if (dense.takes(compute, x.size(0)) && x.isContiguous()) {
            Tensor down = Tensors.empty(compute, x.size(0), lora.a().value().size(0));
            dense.multiply(x, lora.a().value(), down);
            dense.addMultiple(down, lora.b().value(), lora.scale(), y);
        } else {
            y.addmmInPlace(x.mm(lora.a().value().t()), lora.b().value().t(), 1, lora.scale());
        }
        if (update instanceof DoraFactors dora) {
            y.addcmulInPlace(y, dora.stretch(weight, compute), 1);
        }
    }
}
