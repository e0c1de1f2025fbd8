package org.qlora4j.model;

import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Heads;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;

/** The part of a layer that looks at other positions of its own text. */
public sealed interface LayerAttention permits SelfAttention, FusedAttention {
    /**
     * x [batch, time, hidden], normed, to [batch, time, hidden].
     *
     * @param rope angles of the positions; null where places are learnt
     */
    Var forward(Tape tape, Var x, Context seen, Rotary.@Nullable Table rope);

    /** A projection [batch, time, heads * headDim] as heads, turned by the angles if any. */
    static Var turned(Tape tape, Var x, Rotary.@Nullable Table rope, int heads) {
        return rope == null ? Heads.split(tape, x, heads) : Rotary.apply(tape, x, rope, heads);
    }
}
