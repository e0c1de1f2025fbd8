package org.qlora4j.data;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * What one optimizer step is made of.
 *
 * @param step optimizer steps before it, over all epochs
 * @param epoch the epoch it lies in, from 0
 * @param firstBatch the place of its first micro-batch in the epoch, from 0
 * @param batches its micro-batches [rows, places of the examples of a row]; fewer than the
 *     accumulation at an epoch's end, where the last micro-batch may be short too
 */
public record StepPlan(long step, int epoch, int firstBatch, List<int[][]> batches) {
    /**
     * Rows that one process computes at once.
     *
     * @param rows [rows, places of the examples of a row]
     * @param places of the rows among all rows of the step: what dropout masks are made from
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    public record Share(int[][] rows, int[] places) {}

    /**
     * What one of several processes computes of this step; of one process all. Whole micro-batches
     * are dealt as long as there is one for each process; the rows of the rest are dealt one by
     * one, so that rows that are sorted by length do not make one process wait for another.
     *
     * @param rank of the process, from 0
     * @param size number of processes
     * @return its micro-batches, none larger than those of the plan; none if the step has fewer
     *     rows than there are processes
     */
    public List<Share> share(int rank, int size) {
        List<Share> shares = new ArrayList<>();
        int dealt = batches.size() / size * size;
        int place = 0;
        List<int[]> rest = new ArrayList<>();
        List<Integer> placesOfRest = new ArrayList<>();
        int left = 0;
        for (int i = 0; i < batches.size(); i++) {
            int[][] rows = batches.get(i);
            if (i < dealt) {
                if (i % size == rank) {
                    int[] places = IntStream.range(place, place + rows.length).toArray();
                    shares.add(new Share(rows, places));
                }
            } else {
                for (int row = 0; row < rows.length; row++) {
                    if (left++ % size == rank) {
                        rest.add(rows[row]);
                        placesOfRest.add(place + row);
                    }
                }
            }
            place += rows.length;
        }
        if (!rest.isEmpty()) {
            int[] places = placesOfRest.stream().mapToInt(Integer::intValue).toArray();
            shares.add(new Share(rest.toArray(int[][]::new), places));
        }
        return shares;
    }
}
