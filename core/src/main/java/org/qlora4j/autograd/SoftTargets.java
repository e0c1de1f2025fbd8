package org.qlora4j.autograd;

/**
 * For each position the likeliest ids with their probabilities, as a teacher sees them. Arrays are
 * not copied.
 *
 * @param width most ids of one position
 * @param ids [positions * width]; 0 where a position has fewer
 * @param probabilities [positions * width], each position's first and summing to 1; all 0 where the
 *     teacher has nothing to say, so that the label alone counts
 */
@SuppressWarnings("ArrayRecordComponent") // a bundle of arrays, never compared
public record SoftTargets(int width, int[] ids, float[] probabilities) {
    /** Places for so many positions, all still without a target. */
    public static SoftTargets none(int positions, int width) {
        int cells = Math.multiplyExact(positions, width);
        return new SoftTargets(width, new int[cells], new float[cells]);
    }

    public SoftTargets {
        if (width < 1 || ids.length != probabilities.length || ids.length % width != 0) {
            throw new IllegalArgumentException(
                    "soft targets: %d ids and %d probabilities in rows of %d"
                            .formatted(ids.length, probabilities.length, width));
        }
    }

    /** Number of positions. */
    public int positions() {
        return ids.length / width;
    }

    /** Whether the teacher says something about a position. */
    boolean has(int position) {
        return probabilities[position * width] > 0;
    }
}
