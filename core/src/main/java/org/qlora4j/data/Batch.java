package org.qlora4j.data;

import java.util.Arrays;
import java.util.List;

/**
 * Rows of examples, padded on the right, as Hugging Face models take them: labels stand at the
 * place of their token (the model shifts them). A row holds one example, or several that are packed
 * and see nothing of each other. Row-major arrays [batch, time], not copied.
 *
 * @param batch rows
 * @param time columns: the longest row, rounded up if asked
 * @param inputIds token ids; the pad id behind the end of a row
 * @param labels ids to learn, {@link #IGNORED} elsewhere
 * @param attentionMask false on padding. By place, not by id as in qlora.py: where EOS serves as
 *     pad (common in chat models) a mask by id would hide the ends of turns
 * @param starts the column where the example of a place begins; on padding, that of the padding
 */
@SuppressWarnings("ArrayRecordComponent") // a bundle of arrays, never compared
public record Batch(
        int batch, int time, int[] inputIds, int[] labels, boolean[] attentionMask, int[] starts) {
    /** The label that torch's cross entropy passes over. */
    public static final int IGNORED = -100;

    public Batch {
        int cells = Math.multiplyExact(batch, time);
        if (inputIds.length != cells
                || labels.length != cells
                || attentionMask.length != cells
                || starts.length != cells) {
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

    /** Rows of one example each. */
    public Batch(int batch, int time, int[] inputIds, int[] labels, boolean[] attentionMask) {
        this(batch, time, inputIds, labels, attentionMask, new int[inputIds.length]);
    }

    /** Lays examples out in their order, one a row; see {@link #packed}. */
    public static Batch of(List<Example> examples, int padId, int multiple) {
        return packed(examples.stream().map(List::of).toList(), padId, multiple);
    }

    /**
     * Lays rows of examples out in their order. The first token of an example is no label: what
     * stands before it in the row belongs to another.
     *
     * @param rows at least one, each of at least one example
     * @param multiple time is rounded up to a multiple of this; 1 pads to the longest row only
     */
    public static Batch packed(List<List<Example>> rows, int padId, int multiple) {
        if (rows.isEmpty() || multiple < 1) {
            throw new IllegalArgumentException(
                    "a batch of %d rows, padded to a multiple of %d"
                            .formatted(rows.size(), multiple));
        }
        int longest = rows.stream().mapToInt(Batch::length).max().getAsInt();
        int time = Math.multiplyExact(Math.ceilDiv(longest, multiple), multiple);
        int cells = Math.multiplyExact(rows.size(), time);
        int[] inputIds = new int[cells];
        int[] labels = new int[cells];
        boolean[] attentionMask = new boolean[cells];
        int[] starts = new int[cells];
        Arrays.fill(inputIds, padId);
        Arrays.fill(labels, IGNORED);
        for (int row = 0; row < rows.size(); row++) {
            int column = 0;
            for (Example example : rows.get(row)) {
                int at = row * time + column;
                System.arraycopy(example.ids(), 0, inputIds, at, example.length());
                Arrays.fill(attentionMask, at, at + example.length(), true);
                Arrays.fill(starts, at, at + example.length(), column);
                boolean follows = column > 0;
                example.labelled().stream()
                        .filter(t -> t > 0 || !follows)
                        .forEach(t -> labels[at + t] = example.ids()[t]);
                column += example.length();
            }
            Arrays.fill(starts, row * time + column, (row + 1) * time, column);
        }
        return new Batch(rows.size(), time, inputIds, labels, attentionMask, starts);
    }

    private static int length(List<Example> row) {
        return row.stream().mapToInt(Example::length).sum();
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
