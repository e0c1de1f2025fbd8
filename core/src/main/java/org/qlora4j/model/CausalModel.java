package org.qlora4j.model;

import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.AttentionMask;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.autograd.Weight;
import org.qlora4j.kernel.DenseProduct;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.lora.LoraLinear;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * A decoder-only language model. It owns its weights; {@link #close} frees them. One file per
 * family implements it.
 */
public sealed interface CausalModel extends AutoCloseable permits Llama {
    /**
     * Hidden states after the last norm.
     *
     * @param ids I64 [batch, time]; open until the backward pass
     * @param mask over time queries and the cached plus new keys; open until the backward pass
     * @param cache what came before, extended by this call; null when training
     * @param checkpoint keep only each layer's input for the backward pass
     * @return [batch, time, hidden]
     */
    Var hidden(
            Tape tape,
            Tensor ids,
            AttentionMask mask,
            @Nullable PastKeyValues cache,
            boolean checkpoint);

    /** The head [vocabulary, hidden], which turns hidden states into logits. */
    Weight head();

    /** The head as generation uses it; the model's own. */
    InferenceHead inferenceHead();

    /** The linear layers but the head, in the order of the checkpoint. */
    List<LoraLinear> linears();

    /**
     * Weights that are not 4-bit: embeddings, norms, biases, and linear weights if they were not
     * quantized.
     */
    List<Parameter> parameters();

    /** Rows of the embedding table. */
    int vocabularySize();

    /**
     * Gives embeddings and head more rows, each the mean of the checkpoint's own, or takes such
     * rows away. The tables must be frozen, with no adapter's in their place.
     *
     * @param rows at least as many as the checkpoint has
     */
    void resizeVocabulary(int rows);

    /** The trained context length. */
    int maxPositions();

    /** Ids that end a text, of {@code config.json} and {@code generation_config.json}. */
    Set<Integer> eosIds();

    /** Number of weights, not counting adapters. */
    long parameterCount();

    /** Bytes of all weights as they are held. */
    long byteSize();

    /** Dtype of the values between layers. */
    DType compute();

    /** An empty cache of texts that are continued together, whatever their lengths. */
    StreamCache newStreamCache(int rows);

    @Override
    void close();

    /**
     * Logits of hidden states, F32 (F64 when computing in F64): [..., hidden] to [rows,
     * vocabulary].
     */
    default Tensor logits(Tensor hidden) {
        Tensor rows = hidden.reshape(-1, hidden.size(-1));
        DenseProduct few = Kernels.current().denseProduct();
        Tensor weight = head().dense(compute());
        if (few.takes(compute(), rows.size(0)) && rows.isContiguous() && weight.isContiguous()) {
            Tensor logits = Tensors.empty(compute().wide(), rows.size(0), weight.size(0));
            few.multiply(rows, weight, logits);
            return logits;
        }
        return rows.linear(weight, null).to(compute().wide());
    }
}
