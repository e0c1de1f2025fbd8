package org.qlora4j.lora;

import java.util.Collection;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.Tensor;

/** What adapters change of a model's weights, worked into them as they are read one at a time. */
public interface WeightChanges extends AutoCloseable {
    /** Whether the weight or bias of this name is changed or replaced. */
    boolean changes(String name);

    /**
     * Shape of a weight after merging: its own, or that of a table with more rows for new tokens.
     *
     * @param base its shape in the base model
     */
    long[] shape(String name, long[] base);

    /**
     * A weight or bias as base and adapters together have it, F32 in the innermost scope.
     *
     * @param base F32, unchanged; the weight of a linear as [out, in]
     * @param transposed whether the model's files have it as [in, out]
     * @throws org.qlora4j.error.FormatException if the adapter's tensors do not fit it
     */
    Tensor merged(String name, Tensor base, boolean transposed);

    /**
     * Refuses an adapter with tensors that belong to no weight of the model: a part of what was
     * learnt would be lost.
     *
     * @param names of the base model's weights
     * @param tiedHead name of the head's weight where that is the embedding table, else null
     */
    void requireFits(Collection<String> names, @Nullable String tiedHead);

    /** Rows of the tables with new tokens, or those of the base where there are none. */
    int rows(int base);

    @Override
    void close();
}
