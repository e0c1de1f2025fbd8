package org.qlora4j.model;

import org.qlora4j.autograd.AttentionMask;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;

/** What a model has seen before the positions it is given, when it generates. */
public sealed interface PastKeyValues permits StreamCache, StreamCache.FirstPositions {
    /** Rotary angles of the next {@code time} positions; the tape owns the handles. */
    Rotary.Table angles(Tape tape, RotaryTables rotary, int time);

    /**
     * Takes a layer's new keys and values up, and attends over all that are held.
     *
     * @param q [batch, time, heads, headDim]
     * @param k [batch, time, kvHeads, headDim]
     * @param v [batch, time, kvHeads * headDim]
     * @return [batch, time, heads * headDim]
     */
    Var attend(Tape tape, int layer, Var q, Var k, Var v, AttentionMask mask);

    /** Counts positions as held, once all layers have written them. */
    void advance(int time);
}
