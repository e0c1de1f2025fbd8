package org.qlora4j.data;

/**
 * MT19937 (Matsumoto and Nishimura 1998), which Python's and torch's generators stand on. Not safe
 * for several threads.
 */
final class MersenneTwister {
    private static final int N = 624;
    private static final int M = 397;

    /** The seed that {@code init_by_array} begins with. */
    private static final int ARRAY_SEED = 19650218;

    private final int[] state = new int[N];
    private int next = N;

    /** The generator after {@code init_genrand(seed)}. */
    MersenneTwister(int seed) {
        state[0] = seed;
        for (int i = 1; i < N; i++) {
            state[i] = 1812433253 * (state[i - 1] ^ (state[i - 1] >>> 30)) + i;
        }
    }

    /** The generator after {@code init_by_array(key)}. */
    static MersenneTwister ofKey(int... key) {
        MersenneTwister made = new MersenneTwister(ARRAY_SEED);
        made.mix(key);
        return made;
    }

    private void mix(int[] key) {
        int i = 1;
        int j = 0;
        for (int k = Math.max(N, key.length); k > 0; k--) {
            int before = state[i - 1] ^ (state[i - 1] >>> 30);
            state[i] = (state[i] ^ before * 1664525) + key[j] + j;
            i = following(i);
            j = (j + 1) % key.length;
        }
        for (int k = N - 1; k > 0; k--) {
            int before = state[i - 1] ^ (state[i - 1] >>> 30);
            state[i] = (state[i] ^ before * 1566083941) - i;
            i = following(i);
        }
        state[0] = 0x80000000;
    }

    private int following(int i) {
        if (i + 1 < N) {
            return i + 1;
        }
        state[0] = state[N - 1];
        return 1;
    }

    /** The next 32 bits. */
    int next() {
        if (next == N) {
            twist();
        }
        int y = state[next++];
        y ^= y >>> 11;
        y ^= (y << 7) & 0x9d2c5680;
        y ^= (y << 15) & 0xefc60000;
        y ^= y >>> 18;
        return y;
    }

    private void twist() {
        for (int i = 0; i < N; i++) {
            int y = (state[i] & 0x80000000) | (state[(i + 1) % N] & 0x7fffffff);
            state[i] = state[(i + M) % N] ^ (y >>> 1) ^ ((y & 1) == 0 ? 0 : 0x9908b0df);
        }
        next = 0;
    }
}
