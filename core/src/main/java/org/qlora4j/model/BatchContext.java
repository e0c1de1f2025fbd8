package org.qlora4j.model;

import org.qlora4j.autograd.Attention;
import org.qlora4j.autograd.AttentionMask;
import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;

/**
 * A batch of whole texts, for training and evaluation: one a row, padded or not, or several behind
 * each other. Open until the backward pass; the caller closes it.
 *
 * @param mask which keys each query sees
 * @param positions places in the texts
 */
public record BatchContext(AttentionMask mask, Positions positions)
        implements Context, AutoCloseable {
    /** Rows that are a text each, without padding. */
    public static BatchContext of(int batch, int time) {
        return new BatchContext(
                new AttentionMask(batch, time, time, null), new Positions.Run(0, time));
    }

    /**
     * Rows in which texts stand one after another and see nothing of each other; padding sees
     * nothing at all.
     *
     * @param starts [batch, time]: where in its row the text of a place begins
     * @param real [batch, time]: false for padding
     */
    public static BatchContext ofSamples(int batch, int time, int[] starts, boolean[] real) {
        int[] places = new int[starts.length];
        for (int i = 0; i < places.length; i++) {
            places[i] = i % time - starts[i];
        }
        return new BatchContext(
                AttentionMask.ofSamples(batch, time, starts, real),
                new Positions.Each(places, time));
    }

    /**
     * Rows that are a text each, with padding on either side. Places are counted from the first of
     * the row, padding included.
     *
     * @param visible [batch, time]: 0 for padding
     */
    public static BatchContext padded(int batch, int time, byte[] visible) {
        return new BatchContext(
                new AttentionMask(batch, time, time, visible), new Positions.Run(0, time));
    }

    @Override
    public Positions positions(int time) {
        return positions;
    }

    @Override
    public Var attend(Tape tape, int layer, AttentionShape shape, Var q, Var k, Var v) {
        return Attention.apply(tape, q, k, v, mask, shape);
    }

    /** Nothing comes after a whole batch. */
    @Override
    public void advance(int time) {}

    @Override
    public void close() {
        mask.close();
    }
}
