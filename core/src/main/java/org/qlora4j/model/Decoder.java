package org.qlora4j.model;

import java.util.List;
import org.qlora4j.autograd.Head;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.tensor.Tensor;

/** What a family's file makes of {@link Weights}: the way from token ids to hidden states. */
public interface Decoder {
    /**
     * Hidden states after the last norm.
     *
     * @param ids I64 [batch, time]; open until the backward pass
     * @param seen what the positions see; open until the backward pass
     * @param checkpoint keep only each layer's input for the backward pass
     * @return [batch, time, hidden]
     */
    Var hidden(Tape tape, Tensor ids, Context seen, boolean checkpoint);

    /** From hidden states to logits. */
    Head head();

    /**
     * Tables [vocabulary, width] with a row for each token: embeddings, and the head if its own.
     */
    List<Parameter> tables();
}
