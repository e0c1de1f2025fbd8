package org.qlora4j.model;

import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Add;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;

/** The layer of the first Transformer and of BERT: each part is added to its input, then normed. */
public record PostNormLayer(LayerAttention attention, Norm attentionNorm, Mlp mlp, Norm mlpNorm)
        implements DecoderLayer {
    @Override
    public Var forward(Tape tape, Var x, Context seen, Rotary.@Nullable Table rope) {
        Var attended = Add.apply(tape, x, attention.forward(tape, x, seen, rope));
        Var h = attentionNorm.forward(tape, attended);
        return mlpNorm.forward(tape, Add.apply(tape, h, mlp.forward(tape, h)));
    }
}
