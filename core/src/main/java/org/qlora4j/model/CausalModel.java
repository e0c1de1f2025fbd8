package org.qlora4j.model;

import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Head;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.lora.LinearLayer;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/** A decoder-only language model. It owns its weights; {@link #close} frees them. */
public interface CausalModel extends AutoCloseable {
    /** What it is without its weights. */
    ModelShape shape();

    /**
     * Hidden states after the last norm.
     *
     * @param ids I64 [batch, time]; open until the backward pass
     * @param seen what the positions see; open until the backward pass
     * @param checkpoint keep only each layer's input for the backward pass
     * @return [batch, time, hidden]
     */
    Var hidden(Tape tape, Tensor ids, Context seen, boolean checkpoint);

    /**
     * What an encoder makes of sources, for a {@link SourceContext}; see {@link EncoderDecoder}.
     *
     * @throws IllegalStateException if the model has no encoder
     */
    default Var encode(Tape tape, Tensor ids, Context seen, boolean checkpoint) {
        throw new IllegalStateException(shape().facts().type() + " models have no encoder");
    }

    /** The part of the model that is here. */
    default Stage stage() {
        return Stage.whole(shape());
    }

    /**
     * As {@link #hidden}, of the layers that are here.
     *
     * @param before what the stage before gave; null in the first
     * @return [batch, time, hidden]: for the next stage; of the last one after the last norm
     */
    default Var hidden(
            Tape tape, Tensor ids, @Nullable Var before, Context seen, boolean checkpoint) {
        if (before != null) {
            throw new IllegalStateException("the model is whole");
        }
        return hidden(tape, ids, seen, checkpoint);
    }

    /** From hidden states to logits. */
    Head head();

    /** The linear layers but the head, in the order of the checkpoint. */
    List<LinearLayer> linears();

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

    /**
     * Gives a classifier other classes, whose outputs are all 0 if the checkpoint has not as many:
     * for an adapter that brings the head. Does nothing where a model classifies no texts.
     *
     * @param labels {@link Labels#OF_CONFIG} for the checkpoint's own
     */
    default void relabel(Labels labels) {}

    /** The trained context length. */
    default int maxPositions() {
        return shape().maxPositions();
    }

    /** Ids that end a text, of {@code config.json} and {@code generation_config.json}. */
    default Set<Integer> eosIds() {
        return shape().eosIds();
    }

    /** Number of weights as the checkpoint has them, not counting adapters. */
    default long parameterCount() {
        return shape().parameterCount();
    }

    /** Bytes of all weights as they are held. */
    long byteSize();

    /** Dtype of the values between layers. */
    DType compute();

    @Override
    void close();

    /**
     * Logits of hidden states, F32 (F64 when computing in F64): [..., hidden] to [rows,
     * vocabulary].
     */
    default Tensor logits(Tensor hidden) {
        return head().logits(hidden);
    }
}
