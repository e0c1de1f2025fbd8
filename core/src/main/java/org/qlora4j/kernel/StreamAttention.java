package org.qlora4j.kernel;

import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.Tensor;

/**
 * One step of attention for many texts at once, each of a length of its own: every row brings one
 * new position, which sees all positions of its text. Sums in f32 (f64 for F64). A row's result
 * depends on no other row.
 */
public sealed interface StreamAttention permits ReferenceStreamAttention, VectorStreamAttention {
    /** Positions that lie beside each other in the keys; a capacity is a multiple of it. */
    int BLOCK = 16;

    /**
     * Writes the new key and value of each row behind its text. Then {@code out = softmax(cap(scale
     * * q · keysᵀ)) · values} for each head; query head h uses key head h / (heads / kvHeads). All
     * tensors are contiguous and of one type.
     *
     * @param q [rows, ..., headDim], with all heads of a row
     * @param k [rows, ...], with all key heads of a row
     * @param v as k
     * @param keys of each row [kvHeads, capacity / 16, headDim, 16], so that 16 positions make a
     *     vector; rows have capacities of their own, and null stands for one without text
     * @param values of each row [kvHeads, capacity, headDim]
     * @param lengths positions that each row holds already, fewer than its capacity; negative for a
     *     row without text, whose output is 0
     * @param softcap bound of the scores by {@code c · tanh(s / c)}; 0 for none
     * @param window positions that are seen at most, the new one among them; 0 for all
     * @param out written: the elements of q
     */
    void step(
            Tensor q,
            Tensor k,
            Tensor v,
            @Nullable Tensor[] keys,
            @Nullable Tensor[] values,
            int[] lengths,
            double scale,
            double softcap,
            int window,
            Tensor out);
}
