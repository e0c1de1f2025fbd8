package org.qlora4j.autograd;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** Rows of a table by token id. */
public final class Embedding {
    private Embedding() {}

    /**
     * @param table [vocabulary, hidden]
     * @param ids I64 [batch, time]; must stay open until the backward pass if the table learns
     * @return [batch, time, hidden]
     */
    public static Var apply(Tape tape, Parameter table, Tensor ids) {
        return apply(tape, table, ids, 1);
    }

    /**
     * As {@link #apply(Tape, Parameter, Tensor)}, with rows times a factor.
     *
     * @param scale rounded to the type of the table first, as transformers does for Gemma
     */
    public static Var apply(Tape tape, Parameter table, Tensor ids, double scale) {
        return tape.operation(
                "embedding",
                table.trainable(),
                call -> {
                    long hidden = table.value().size(1);
                    Tensor flat = call.save(ids.reshape(ids.count()));
                    double factor = rounded(scale, table.value().dtype());
                    call.backward(gradient -> {
                        Tensor rows = gradient.reshape(-1, hidden).to(table.grad().dtype());
                        table.grad()
                                .indexAddInPlace(0, flat, factor == 1 ? rows : rows.times(factor));
                    });
                    Tensor rows = table.value().indexSelect(0, flat);
                    Tensor scaled = factor == 1 ? rows : rows.mulInPlace(factor);
                    return scaled.view(ids.size(0), ids.size(1), hidden);
                });
    }

    private static double rounded(double scale, DType dtype) {
        try (TensorScope scope = TensorScope.open()) {
            return scale == 1 ? 1 : Tensors.full(scale, dtype).item();
        }
    }
}
