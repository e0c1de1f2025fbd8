package org.qlora4j.model;

import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;

/** A layer of a decoder, made of attention and an MLP in the order of its family. */
public interface DecoderLayer {
    /**
     * x [batch, time, hidden] to [batch, time, hidden].
     *
     * @param rope angles of the positions; null where places are learnt
     */
    Var forward(Tape tape, Var x, Context seen, Rotary.@Nullable Table rope);
}
