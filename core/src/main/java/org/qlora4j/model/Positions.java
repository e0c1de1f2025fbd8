package org.qlora4j.model;

import java.util.Arrays;

/** Places of positions in their texts, counted from 0: for rotary and learned embeddings. */
public sealed interface Positions {
    /** Every row has the places {@code first} to {@code first + time}. */
    record Run(int first, int time) implements Positions {}

    /**
     * Every position has a place of its own; a negative one belongs to no text and counts as 0.
     *
     * @param places [rows, time]
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Each(int[] places, int time) implements Positions {}

    /**
     * Rows of the places in a table of learned positions, [rows, time].
     *
     * @param offset row of place 0; one below 0 becomes 0
     */
    default long[] ids(int rows, int offset) {
        return switch (this) {
            case Run(int first, int time) -> {
                long[] ids = new long[rows * time];
                Arrays.setAll(ids, i -> offset + first + i % time);
                yield ids;
            }
            case Each(int[] places, int time) ->
                    Arrays.stream(places).mapToLong(p -> Math.max(0, p + offset)).toArray();
        };
    }
}
