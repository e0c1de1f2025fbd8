package org.qlora4j.data;

/**
 * NumPy's {@code default_rng(seed)}, so that splits and mixtures are those of Hugging Face's {@code
 * datasets}: PCG64 (O'Neill 2014, variant XSL-RR 128/64) seeded through {@code SeedSequence}. 128
 * bits are kept in two longs, high and low. Not safe for several threads.
 */
final class NumpyRandom {
    private static final long MULTIPLIER_HIGH = 0x2360ED051FC65DA4L;
    private static final long MULTIPLIER_LOW = 0x4385DF649FCCF645L;

    private long high;
    private long low;
    private final long incrementHigh;
    private final long incrementLow;
    private boolean hasHalf;
    private int half;

    /**
     * @param seed at least 0
     */
    NumpyRandom(long seed) {
        long[] words = seedSequence(seed);
        incrementHigh = words[2] << 1 | words[3] >>> 63;
        incrementLow = words[3] << 1 | 1;
        step(); // from 0: the state becomes the increment
        add(words[0], words[1]);
        step();
    }

    /** {@code SeedSequence(seed).generate_state(4, uint64)} with a pool of four words. */
    private static long[] seedSequence(long seed) {
        int[] entropy = {(int) seed, (int) (seed >>> 32)};
        int count = entropy[1] == 0 ? 1 : 2;
        int[] pool = new int[4];
        int[] hash = {0x43b0d7e5};
        for (int i = 0; i < pool.length; i++) {
            pool[i] = hashMix(i < count ? entropy[i] : 0, hash, 0x931e8875);
        }
        for (int from = 0; from < pool.length; from++) {
            for (int to = 0; to < pool.length; to++) {
                if (from != to) {
                    int mixed =
                            0xca01f9dd * pool[to]
                                    - 0x4973f715 * hashMix(pool[from], hash, 0x931e8875);
                    pool[to] = mixed ^ mixed >>> 16;
                }
            }
        }
        hash[0] = 0x8b51f9dd;
        long[] words = new long[4];
        for (int i = 0; i < 8; i++) {
            long word = Integer.toUnsignedLong(hashMix(pool[i % 4], hash, 0x58f38ded));
            words[i / 2] |= word << 32 * (i % 2);
        }
        return words;
    }

    private static int hashMix(int value, int[] hash, int multiplier) {
        value ^= hash[0];
        hash[0] *= multiplier;
        value *= hash[0];
        return value ^ value >>> 16;
    }

    private void add(long addHigh, long addLow) {
        long sum = low + addLow;
        high += addHigh + (Long.compareUnsigned(sum, low) < 0 ? 1 : 0);
        low = sum;
    }

    private void step() {
        high =
                Math.unsignedMultiplyHigh(low, MULTIPLIER_LOW)
                        + high * MULTIPLIER_LOW
                        + low * MULTIPLIER_HIGH;
        low *= MULTIPLIER_LOW;
        add(incrementHigh, incrementLow);
    }

    private long nextLong() {
        step();
        return Long.rotateRight(high ^ low, (int) (high >>> 58));
    }

    /** 32 bits: the low half of a draw, then its high half. */
    private int nextInt() {
        if (hasHalf) {
            hasHalf = false;
            return half;
        }
        long both = nextLong();
        hasHalf = true;
        half = (int) (both >>> 32);
        return (int) both;
    }

    /** {@code random()}: uniform in [0, 1). */
    double nextDouble() {
        return (nextLong() >>> 11) * 0x1.0p-53;
    }

    /** Uniform in [0, max]: draws as many bits as max has until they fit. */
    private int bounded(int max) {
        int mask = -1 >>> Integer.numberOfLeadingZeros(max);
        int value = nextInt() & mask;
        while (value > max) {
            value = nextInt() & mask;
        }
        return value;
    }

    /** {@code permutation(n)}: the numbers 0 to n - 1 in random order. */
    int[] permutation(int n) {
        int[] result = new int[n];
        for (int i = 0; i < n; i++) {
            result[i] = i;
        }
        for (int i = n - 1; i > 0; i--) {
            int other = bounded(i);
            int kept = result[i];
            result[i] = result[other];
            result[other] = kept;
        }
        return result;
    }
}
