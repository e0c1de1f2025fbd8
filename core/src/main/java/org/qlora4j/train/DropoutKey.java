package org.qlora4j.train;

/** What a micro-batch's dropout masks are made from: the same whenever the step is run again. */
final class DropoutKey {
    private DropoutKey() {}

    static long of(long seed, long step, int microBatch) {
        long key = seed * 0x9E3779B97F4A7C15L;
        key = (key ^ step) * 0xbf58476d1ce4e5b9L;
        return (key ^ (key >>> 29) ^ microBatch) * 0x94d049bb133111ebL;
    }
}
