package org.qlora4j.model;

import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;

/**
 * What the positions of one call see: their own text, in a batch that is whole ({@link
 * BatchContext}) or behind what a cache holds. A model asks it for places and attention and knows
 * nothing of masks and caches.
 */
public interface Context {
    /** Places of the next {@code time} positions of each row in their texts. */
    Positions positions(int time);

    /** The same counted over the tokens of a text alone; a place of padding is -1. */
    default Positions textPositions(int time) {
        return positions(time);
    }

    /**
     * Attention of a layer over all that its queries see.
     *
     * @param layer its number, from 0
     * @param q [batch, time, heads, headDim]
     * @param k [batch, time, kvHeads, headDim]
     * @param v [batch, time, kvHeads * headDim]
     * @return [batch, time, heads * headDim]
     */
    Var attend(Tape tape, int layer, AttentionShape shape, Var q, Var k, Var v);

    /** Says that all layers have attended to {@code time} positions. */
    void advance(int time);
}
