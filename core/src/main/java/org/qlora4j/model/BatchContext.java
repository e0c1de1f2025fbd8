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
 * @param textPositions places that padding does not count in
 */
public record BatchContext(AttentionMask mask, Positions positions, Positions textPositions)
        implements Context, AutoCloseable {
    /** Rows that are a text each, without padding. */
    public static BatchContext of(int batch, int time) {
        Positions places = new Positions.Run(0, time);
        return new BatchContext(new AttentionMask(batch, time, time, null), places, places);
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
        int[] ofText = new int[starts.length];
        for (int i = 0; i < places.length; i++) {
            places[i] = i % time - starts[i];
            ofText[i] = real[i] ? places[i] : -1;
        }
        return new BatchContext(
                AttentionMask.ofSamples(batch, time, starts, real),
                new Positions.Each(places, time),
                new Positions.Each(ofText, time));
    }

    /**
     * Rows that are a text each, with padding on either side. Places are counted from the first of
     * the row, padding included; those of the text alone from its first token.
     *
     * @param visible [batch, time]: 0 for padding
     */
    public static BatchContext padded(int batch, int time, byte[] visible) {
        return padded(batch, time, visible, new AttentionMask(batch, time, time, visible));
    }

    /** As {@link #padded}, where each position sees those behind it too, as encoders have it. */
    public static BatchContext whole(int batch, int time, byte[] visible) {
        return padded(batch, time, visible, AttentionMask.whole(batch, time, time, visible));
    }

    private static BatchContext padded(int batch, int time, byte[] visible, AttentionMask mask) {
        int[] ofText = new int[batch * time];
        for (int i = 0, next = 0; i < ofText.length; i++) {
            next = i % time == 0 ? 0 : next;
            ofText[i] = visible[i] == 0 ? -1 : next++;
        }
        return new BatchContext(mask, new Positions.Run(0, time), new Positions.Each(ofText, time));
    }

    @Override
    public Positions positions(int time) {
        return positions;
    }

    @Override
    public Positions textPositions(int time) {
        return textPositions;
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
