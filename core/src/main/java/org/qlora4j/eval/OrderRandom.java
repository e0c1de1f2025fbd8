package org.qlora4j.eval;

/**
 * Random numbers that are a function of a seed and a number alone, whichever thread draws them
 * (SplitMix64: Steele, Lea, Flood 2014).
 */
final class OrderRandom {
    private static final long GOLDEN = 0x9E3779B97F4A7C15L;

    private long state;

    OrderRandom(long seed, long number) {
        state = mixed(seed + GOLDEN * (number + 1)) ^ mixed(number);
    }

    /** A number from 0 to {@code bound - 1}; its bias is below bound / 2^32. */
    int below(int bound) {
        state += GOLDEN;
        return (int) ((mixed(state) >>> 32) * bound >>> 32);
    }

    private static long mixed(long z) {
        long a = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        long b = (a ^ a >>> 27) * 0x94D049BB133111EBL;
        return b ^ b >>> 31;
    }
}
