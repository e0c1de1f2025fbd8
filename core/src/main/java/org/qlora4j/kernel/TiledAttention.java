package org.qlora4j.kernel;

import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * Attention of whole sequences in tiles that stay in the cache, forward and backward: no matrix of
 * scores reaches memory, and tiles that no query sees are skipped (FlashAttention, arXiv
 * 2307.08691).
 *
 * <p>q, out and their gradients are [batch, queries, heads, headDim]; k, v and theirs [batch, keys,
 * kvHeads, headDim]; all contiguous and F32. Query head h uses key head {@code h / (heads /
 * kvHeads)}. The mask has batch sequences of all queries and keys. A query that sees no key gets
 * zeros.
 */
public sealed interface TiledAttention
        permits MetaKernels, ReferenceTiledAttention, VectorTiledAttention {
    /** Whether this is the fastest way for values of this type. */
    boolean takes(DType dtype);

    /**
     * {@code out = softmax(cap(scale * q · kᵀ)) · v}.
     *
     * @param softcap bound of the scores by {@code c · tanh(s / c)}; 0 for none
     * @param logSums F32 [batch, heads, queries]: gets the log of each row's sum of exponentials,
     *     which the backward pass needs; null if there is none
     */
    void forward(
            Tensor q,
            Tensor k,
            Tensor v,
            double scale,
            double softcap,
            BlockMask mask,
            Tensor out,
            @Nullable Tensor logSums);

    /**
     * The gradients of q, k and v.
     *
     * @param forward what went into {@link #forward}, and what came out
     * @param dOut gradient of the result
     */
    void backward(Forward forward, Tensor dOut, Tensor dq, Tensor dk, Tensor dv);

    /** Arguments and results of a forward pass. */
    record Forward(
            Tensor q,
            Tensor k,
            Tensor v,
            double scale,
            double softcap,
            BlockMask mask,
            Tensor out,
            Tensor logSums) {}
}
