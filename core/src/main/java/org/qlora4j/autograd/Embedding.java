package org.qlora4j.autograd;

import org.qlora4j.tensor.Tensor;

/** Rows of a table by token id. */
public final class Embedding {
    private Embedding() {}

    /**
     * @param table [vocabulary, hidden]
     * @param ids I64 [batch, time]; must stay open until the backward pass if the table learns
     * @return [batch, time, hidden]
     */
    public static Var apply(Tape tape, Parameter table, Tensor ids) {
        return tape.operation(
                "embedding",
                table.trainable(),
                call -> {
                    long hidden = table.value().size(1);
                    Tensor flat = call.save(ids.reshape(ids.count()));
                    call.backward(gradient ->
                            table.grad()
                                    .indexAddInPlace(
                                            0,
                                            flat,
                                            gradient.reshape(-1, hidden).to(table.grad().dtype())));
                    return table.value()
                            .indexSelect(0, flat)
                            .view(ids.size(0), ids.size(1), hidden);
                });
    }
}
