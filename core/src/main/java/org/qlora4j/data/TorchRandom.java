package org.qlora4j.data;

/**
 * Torch's CPU generator, so that a run can be followed number by number in Python: MT19937
 * (Matsumoto and Nishimura 1998) initialised from the low 32 bits of the seed, and {@code
 * torch.randperm} on top of it. Not safe for several threads.
 */
public final class TorchRandom {
    private static final int N = 624;
    private static final int M = 397;

    /** From here on torch draws 64 bits for each place of a permutation. */
    private static final int LONGEST_PERMUTATION = (int) (0xFFFFFFFFL / 20);

    private final int[] state = new int[N];
    private int next = N;

    /** The generator after {@code torch.manual_seed(seed)}. */
    public TorchRandom(long seed) {
        state[0] = (int) seed;
        for (int i = 1; i < N; i++) {
            state[i] = 1812433253 * (state[i - 1] ^ (state[i - 1] >>> 30)) + i;
        }
    }

    /** The next output, in [0, 2^32). */
    public long nextUnsignedInt() {
        if (next == N) {
            twist();
        }
        int y = state[next++];
        y ^= y >>> 11;
        y ^= (y << 7) & 0x9d2c5680;
        y ^= (y << 15) & 0xefc60000;
        y ^= y >>> 18;
        return Integer.toUnsignedLong(y);
    }

    private void twist() {
        for (int i = 0; i < N; i++) {
            int y = (state[i] & 0x80000000) | (state[(i + 1) % N] & 0x7fffffff);
            state[i] = state[(i + M) % N] ^ (y >>> 1) ^ ((y & 1) == 0 ? 0 : 0x9908b0df);
        }
        next = 0;
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
