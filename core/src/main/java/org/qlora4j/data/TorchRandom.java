package org.qlora4j.data;

/**
 * Torch's CPU generator, so that a run can be followed number by number in Python: MT19937
 * (Matsumoto and Nishimura 1998) initialised from the low 32 bits of the seed, and {@code
 * torch.randperm} on top of it. Not safe for several threads.
 */
public final class TorchRandom {
    /** From here on torch draws 64 bits for each place of a permutation. */
    private static final int LONGEST_PERMUTATION = (int) (0xFFFFFFFFL / 20);

    private final MersenneTwister twister;

    /** The generator after {@code torch.manual_seed(seed)}. */
    public TorchRandom(long seed) {
        twister = new MersenneTwister((int) seed);
    }

    /** The next output, in [0, 2^32). */
    public long nextUnsignedInt() {
        return Integer.toUnsignedLong(twister.next());
    }

    /** {@code torch.randperm(n)}: the numbers 0 to n - 1 in random order. */
    public int[] permutation(int n) {
        if (n < 0 || n >= LONGEST_PERMUTATION) {
            throw new IllegalArgumentException(
                    "a permutation of " + n + " numbers; 0 to " + (LONGEST_PERMUTATION - 1));
        }
        int[] result = new int[n];
        for (int i = 0; i < n; i++) {
            result[i] = i;
        }
        for (int i = 0; i < n - 1; i++) {
            int other = i + (int) (nextUnsignedInt() % (n - i));
            int kept = result[i];
            result[i] = result[other];
            result[other] = kept;
        }
        return result;
    }
}
