package org.qlora4j.model;

import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Add;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;

/**
 * The decoder layer of Gemma 2 and after: attention, then the MLP, each between two norms and added
 * onto the residual stream (arXiv 2408.00118, section 2).
 */
public record SandwichLayer(
        Norm beforeAttention,
        Norm afterAttention,
        Norm beforeMlp,
        Norm afterMlp,
        SelfAttention attention,
        Mlp mlp)
        implements DecoderLayer {
    @Override
    public Var forward(Tape tape, Var x, Context seen, Rotary.@Nullable Table rope) {
        Var attended = attention.forward(tape, beforeAttention.forward(tape, x), seen, rope);
        Var h = Add.apply(tape, x, afterAttention.forward(tape, attended));
        Var moved = mlp.forward(tape, beforeMlp.forward(tape, h));
        return Add.apply(tape, h, afterMlp.forward(tape, moved));
    }
}
