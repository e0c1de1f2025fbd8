package org.qlora4j.data;

import java.util.Arrays;
import java.util.List;

/**
 * Examples side by side, padded on the right, as Hugging Face models take them: labels stand at the
 * place of their token (the model shifts them). Row-major arrays [batch, time], not copied.
 *
 * @param batch rows
 * @param time columns: the longest row, rounded up if asked
 * @param inputIds token ids; the pad id behind the end of a row
 * @param labels ids to learn, {@link #IGNORED} elsewhere
 * @param attentionMask false on padding. By place, not by id as in qlora.py: where EOS serves as
 *     pad (common in chat models) a mask by id would hide the ends of turns
 */
@SuppressWarnings("ArrayRecordComponent") // a bundle of arrays, never compared
public record Batch(int batch, int time, int[] inputIds, int[] labels, boolean[] attentionMask) {
    /** The label that torch's cross entropy passes over. */
    public static final int IGNORED = -100;

    public Batch {
        int cells = Math.multiplyExact(batch, time);
        if (inputIds.length != cells || labels.length != cells || attentionMask.length != cells) {
            throw new IllegalArgumentException(
                    "batch [%d, %d] with %d ids, %d labels and %d mask values"
                            .formatted(
                                    batch,
                                    time,
                                    inputIds.length,
                                    labels.length,
                                    attentionMask.length));
        }
    }

    /**
     * Lays examples out in their order.
     *
     * @param examples at least one
     * @param multiple time is rounded up to a multiple of this; 1 pads to the longest example only
     */
    public static Batch of(List<Example> examples, int padId, int multiple) {
        if (examples.isEmpty() || multiple < 1) {
            throw new IllegalArgumentException(
                    "a batch of %d examples, padded to a multiple of %d"
                            .formatted(examples.size(), multiple));
        }
        int longest = examples.stream().mapToInt(Example::length).max().getAsInt();
        int time = Math.multiplyExact(Math.ceilDiv(longest, multiple), multiple);
        int cells = Math.multiplyExact(examples.size(), time);
        int[] inputIds = new int[cells];
        int[] labels = new int[cells];
        boolean[] attentionMask = new boolean[cells];
        Arrays.fill(inputIds, padId);
        Arrays.fill(labels, IGNORED);
        for (int row = 0; row < examples.size(); row++) {
            Example example = examples.get(row);
            int start = row * time;
            System.arraycopy(example.ids(), 0, inputIds, start, example.length());
            Arrays.fill(attentionMask, start, start + example.length(), true);
            example.labelled().stream().forEach(t -> labels[start + t] = example.ids()[t]);
        }
        return new Batch(examples.size(), time, inputIds, labels, attentionMask);
    }

    /**
     * Labels that enter the loss: those in columns 1 and later, for a label is predicted from the
     * column before it.
     */
    public int labelTokens() {
        int count = 0;
        for (int i = 0; i < labels.length; i++) {
            count += i % time != 0 && labels[i] != IGNORED ? 1 : 0;
        }
        return count;
    }

    /** Tokens that are not padding. */
    public int realTokens() {
        int count = 0;
        for (boolean real : attentionMask) {
            count += real ? 1 : 0;
        }
        return count;
    }
}
