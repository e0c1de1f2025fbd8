package org.qlora4j.autograd;

import org.qlora4j.tensor.DType;
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

    /** To nearest, ties to even, as libtorch rounds. */
    private static double rounded(double scale, DType dtype) {
        return switch (dtype) {
            case F64 -> scale;
            case BF16 -> {
                int bits = Float.floatToRawIntBits((float) scale);
                yield Float.intBitsToFloat(bits + 0x7FFF + (bits >>> 16 & 1) & 0xFFFF0000);
            }
            default -> (float) scale;
        };
    }
}
