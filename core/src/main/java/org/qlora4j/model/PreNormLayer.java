package org.qlora4j.model;

import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Add;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;

/**
 * The decoder layer of LLaMA and most after it: attention, then the MLP, each on a normed input and
 * added onto the residual stream.
 */
public record PreNormLayer(Norm attentionNorm, Norm mlpNorm, LayerAttention attention, Mlp mlp)
        implements DecoderLayer {
    @Override
    public Var forward(Tape tape, Var x, Context seen, Rotary.@Nullable Table rope) {
        Var attended = attention.forward(tape, attentionNorm.forward(tape, x), seen, rope);
        Var h = Add.apply(tape, x, attended);
        return Add.apply(tape, h, mlp.forward(tape, mlpNorm.forward(tape, h)));
    }
}
