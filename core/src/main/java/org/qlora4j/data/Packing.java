package org.qlora4j.data;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Deque;
import java.util.List;

/**
 * Puts examples of different lengths into rows of at most so many tokens, none of them split: best
 * fit decreasing (Johnson 1974; {@code bfd} in Hugging Face's trl). Longest first, each example
 * goes to the fullest row that still has room for it, or opens a row.
 */
final class Packing {
    private Packing() {}

    /**
     * The number of rows depends on the lengths alone, not on their order, so that every epoch has
     * as many; which of the examples of one length stands where depends on the order.
     *
     * @param lengths tokens of each example
     * @param order the examples; of two of one length the first comes first
     * @param limit tokens of a row; a longer example is a row by itself
     * @return the places of the examples of each row, in the order in which rows were opened
     */
    static int[][] rows(int[] lengths, int[] order, int limit) {
        List<List<Integer>> rows = new ArrayList<>();
        List<Deque<Integer>> withRoom = new ArrayList<>(); // rows by the tokens they have left
        for (int room = 0; room <= limit; room++) {
            withRoom.add(new ArrayDeque<>(0));
        }
        BitSet rooms = new BitSet(limit + 1);
        for (int place : longestFirst(lengths, order)) {
            int room = rooms.nextSetBit(lengths[place]);
            int row;
            if (room < 0) {
                row = rows.size();
                room = Math.max(limit, lengths[place]);
                rows.add(new ArrayList<>());
            } else {
                row = withRoom.get(room).removeFirst();
                rooms.set(room, !withRoom.get(room).isEmpty());
            }
            rows.get(row).add(place);
            int left = room - lengths[place];
            withRoom.get(left).addLast(row);
            rooms.set(left);
        }
        return rows.stream()
                .map(row -> row.stream().mapToInt(Integer::intValue).toArray())
                .toArray(int[][]::new);
    }

    private static int[] longestFirst(int[] lengths, int[] order) {
        long[] keys = new long[order.length];
        for (int i = 0; i < keys.length; i++) {
            keys[i] = ((long) -lengths[order[i]] << 32) | i;
        }
        Arrays.sort(keys);
        return Arrays.stream(keys).mapToInt(key -> order[(int) key]).toArray();
    }
}
