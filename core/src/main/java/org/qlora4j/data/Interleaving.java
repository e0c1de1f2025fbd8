package org.qlora4j.data;

import java.util.Arrays;

/**
 * Mixing by weights, place by place that of {@code datasets.interleave_datasets} with these
 * probabilities, seed and stopping strategy.
 */
final class Interleaving {
    private Interleaving() {}

    /**
     * The mixed order of sets that follow each other.
     *
     * @param sizes of the sets, each at least 1
     * @param weights of the sets, above 0
     * @return places, counted through all sets
     */
    static int[] order(int[] sizes, double[] weights, long seed, StoppingStrategy stop) {
        double[] upTo = weights.clone();
        double sum = Arrays.stream(weights).sum();
        int[] offsets = new int[sizes.length];
        for (int i = 0; i < upTo.length; i++) {
            upTo[i] = weights[i] / sum + (i == 0 ? 0 : upTo[i - 1]);
            offsets[i] = i == 0 ? 0 : Math.addExact(offsets[i - 1], sizes[i - 1]);
        }
        double last = upTo[upTo.length - 1];
        Arrays.setAll(upTo, i -> upTo[i] / last);
        NumpyRandom random = new NumpyRandom(seed);
        int[] next = new int[sizes.length];
        boolean[] exhausted = new boolean[sizes.length];
        int left = stop == StoppingStrategy.FIRST_EXHAUSTED ? 1 : sizes.length;
        int[] order = new int[Arrays.stream(sizes).sum()];
        int count = 0;
        while (left > 0) {
            double at = random.nextDouble();
            int set = 0;
            while (upTo[set] <= at) {
                set++;
            }
            if (count == order.length) {
                order = Arrays.copyOf(order, Math.addExact(count, count / 2 + 1));
            }
            order[count++] = offsets[set] + next[set];
            if (++next[set] == sizes[set]) {
                next[set] = 0;
                left -= exhausted[set] ? 0 : 1;
                exhausted[set] = true;
            }
        }
        return Arrays.copyOf(order, count);
    }
}
