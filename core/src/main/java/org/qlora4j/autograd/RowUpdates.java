package org.qlora4j.autograd;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.DenseProduct;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

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
    public record Part(int from, int count, LinearUpdate update) {
        private Tensor of(Tensor batch) {
            return batch.narrow(0, from, count);
        }

        private DenseProduct.Update kernelUpdate(int positions) {
            LoraFactors lora = update.lora();
            return new DenseProduct.Update(
                    from * positions,
                    count * positions,
                    lora.a().value(),
                    lora.b().value(),
                    lora.scale());
        }
    }

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
                    addAll(weight, input, y);
                    return biasLast && bias != null ? y.addInPlace(bias.value()) : y;
                });
    }

    private boolean takesAll(DenseProduct dense, long rows) {
        return parts.stream()
                .map(part -> part.update.lora())
                .allMatch(l -> dense.takesUpdates(l.a().value(), l.b().value(), rows));
    }

    private void addAll(Weight weight, Tensor input, Tensor y) {
        DType compute = input.dtype();
        DenseProduct dense = Kernels.current().denseProduct();
        long rows = input.count() / weight.in();
        int positions = Math.toIntExact(rows / input.size(0));
        boolean few = positions == 1 ? dense.takes(compute, 1) : takesAll(dense, rows);
        if (few && input.isContiguous()) {
            dense.addUpdates(
                    input.view(-1, weight.in()),
                    parts.stream().map(part -> part.kernelUpdate(positions)).toList(),
                    y.view(-1, weight.out()));
        } else {
            for (Part part : parts) {
                Tensor x = part.of(input).reshape(-1, weight.in());
                Linear.addUpdate(x, part.update.lora(), part.of(y).view(-1, weight.out()));
            }
        }
        for (Part part : parts) {
            if (part.update instanceof DoraFactors dora) {
                Tensor own = part.of(y);
                own.addcmulInPlace(own, dora.stretch(weight, compute), 1);
            }
        }
    }
}
