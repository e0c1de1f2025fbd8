package org.qlora4j.autograd;

import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.Tensor;

/**
 * Attention of one new position in each of many texts of different lengths, for generation alone:
 * it has no backward pass.
 */
public final class CachedAttention {
    private CachedAttention() {}

    /**
     * @param q [rows, 1, heads, headDim]
     * @param k [rows, 1, kvHeads, headDim]; written behind the keys
     * @param v [rows, 1, kvHeads * headDim]; written behind the values
     * @param keys by row, as {@link org.qlora4j.kernel.StreamAttention} lays them out
     * @param values likewise
     * @param lengths positions held in each row, negative for a row without text
     * @return [rows, 1, heads * headDim]
     */
    public static Var apply(
            Tape tape,
            Var q,
            Var k,
            Var v,
            @Nullable Tensor[] keys,
            @Nullable Tensor[] values,
            int[] lengths,
            AttentionShape shape) {
        if (shape.bias() != null) {
            throw new IllegalStateException(
                    "texts whose scores have a bias are continued one by one");
        }
        if (q.needsGrad() || k.needsGrad() || v.needsGrad()) {
            throw new IllegalStateException("a step of generation has no backward pass");
        }
        return tape.operation(
                "cachedAttention",
                false,
                call -> {
                    long rows = q.value().size(0);
                    long heads = q.value().size(2);
                    long headDim = q.value().size(3);

                    Tensor out = call.result(q.value().dtype(), rows, 1, heads * headDim);
                    Kernels.current()
                            .streamAttention()
                            .step(
                                    q.value(),
                                    k.value(),
                                    v.value(),
                                    keys,
                                    values,
                                    lengths,
                                    shape.scale(),
                                    shape.softcap(),
                                    shape.window(),
                                    out);
                    return out;
                });
    }
}
