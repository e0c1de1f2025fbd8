package org.qlora4j.data;

import java.util.BitSet;

/**
 * One sequence to train on, cut to its limits, without padding. Arrays and bits are not copied and
 * must not be changed.
 *
 * @param ids tokens [time]
 * @param labelled bit t is set where ids[t] is a label: a token the model learns to predict from
 *     those before it
 * @param file the file it comes from
 * @param line the line of its record there, from 1
 * @param fullLength tokens before the limits cut any off
 * @param endCut whether the end of what is learnt, its end-of-text token with it, was cut off
 */
@SuppressWarnings("ArrayRecordComponent") // a bundle of arrays, never compared
public record Example(
        int[] ids, BitSet labelled, String file, int line, int fullLength, boolean endCut) {
    /** Tokens. */
    public int length() {
        return ids.length;
    }

    /** Whether the limits cut tokens off. */
    public boolean truncated() {
        return fullLength > ids.length;
    }

    /**
     * Labels in places 1 and later, those that enter the loss: nothing comes before place 0 to
     * predict it from.
     */
    public int labelTokens() {
        return labelled.cardinality() - (labelled.get(0) ? 1 : 0);
    }
}
