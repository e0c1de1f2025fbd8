package org.qlora4j.train;

/** What the dropout masks of a row are made from: the same whenever the step is run again. */
final class DropoutKey {
    private DropoutKey() {}

    /**
     * A key for each row, whatever other rows are computed beside it.
     *
     * @param places of the rows among all rows of the step
     */
    static long[] of(long seed, long step, int[] places) {
        long[] keys = new long[places.length];
        for (int row = 0; row < keys.length; row++) {
            keys[row] = of(seed, step, places[row]);
        }
        return keys;
    }

    private static long of(long seed, long step, int place) {
        long key = seed * 0x9E3779B97F4A7C15L;
        key = (key ^ step) * 0xbf58476d1ce4e5b9L;
        return (key ^ (key >>> 29) ^ place) * 0x94d049bb133111ebL;
    }
}
