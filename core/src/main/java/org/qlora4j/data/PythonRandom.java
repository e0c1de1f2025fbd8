package org.qlora4j.data;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Python's {@code random.Random(seed)}, so that samples are those that Python tools draw: MT19937
 * seeded by the seed's 32-bit words, {@code sample} as CPython 3.11 has it. Not safe for several
 * threads.
 */
public final class PythonRandom {
    /** Up to so many items {@code sample} draws from a copy of the list. */
    private static final int SMALL_SET = 21;

    private final MersenneTwister twister;

    /**
     * @param seed as Python takes its absolute value
     */
    public PythonRandom(long seed) {
        long key = Math.abs(seed);
        int low = (int) key;
        int high = (int) (key >>> 32);
        twister = high == 0 ? MersenneTwister.ofKey(low) : MersenneTwister.ofKey(low, high);
    }

    /** {@code random()}: uniform in [0, 1), 53 bits. */
    public double nextDouble() {
        long high = twister.next() >>> 5;
        long low = twister.next() >>> 6;
        return (high * 67108864.0 + low) / 9007199254740992.0;
    }

    /** {@code randrange(n)}: a number in [0, n). */
    public int below(int n) {
        if (n < 1) {
            throw new IllegalArgumentException("a number below " + n);
        }
        int bits = Integer.SIZE - Integer.numberOfLeadingZeros(n);
        int drawn = twister.next() >>> (Integer.SIZE - bits);
        while (drawn >= n || drawn < 0) {
            drawn = twister.next() >>> (Integer.SIZE - bits);
        }
        return drawn;
    }

    /**
     * {@code sample(population, count)}: different places of the population, in the order drawn.
     *
     * @param count at most as many as the population has
     */
    public <T> List<T> sample(List<T> population, int count) {
        int n = population.size();
        if (count < 0 || count > n) {
            throw new IllegalArgumentException("a sample of %d from %d".formatted(count, n));
        }
        List<T> result = new ArrayList<>(count);
        if (n <= setSize(count)) {
            List<T> pool = new ArrayList<>(population);
            for (int i = 0; i < count; i++) {
                int j = below(n - i);
                result.add(pool.get(j));
                pool.set(j, pool.get(n - i - 1));
            }
            return result;
        }
        Set<Integer> chosen = new HashSet<>();
        while (result.size() < count) {
            int j = below(n);
            if (chosen.add(j)) {
                result.add(population.get(j));
            }
        }
        return result;
    }

    /** From how many items on a set of places is smaller than a copy. */
    private static long setSize(int count) {
        if (count <= 5) {
            return SMALL_SET;
        }
        double power = Math.ceil(Math.log(count * 3L) / Math.log(4));
        return SMALL_SET + (long) Math.pow(4, power);
    }

    /** {@code choices}: as many places of a population, each drawn from all of it. */
    public void choices(int population, int[] places) {
        for (int i = 0; i < places.length; i++) {
            places[i] = (int) Math.floor(nextDouble() * population);
        }
    }
}
