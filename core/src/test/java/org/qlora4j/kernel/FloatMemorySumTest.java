package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;
import org.qlora4j.testing.Samples;

class FloatMemorySumTest {
    /** Long enough for the JVM to compile the loop, from interpreter to its last compiler. */
    private static final int REPEATS = 200_000;

    @Test
    void sum_hasTheSameBitsBeforeAndAfterTheJvmCompilesIt() {
        float[] values = Samples.normal(16, 42);
        Set<Integer> bits = new HashSet<>();
        for (int i = 0; i < REPEATS; i++) {
            bits.add(Float.floatToRawIntBits(sum(values)));
        }
        assertThat(bits).containsExactly(Float.floatToRawIntBits(inHalves(values)));
    }

    private static float sum(float[] values) {
        return FloatMemory.sum(FloatVector.fromArray(FloatMemory.FLOATS, values, 0));
    }

    private static float inHalves(float[] values) {
        float[] v = Arrays.copyOf(values, FloatMemory.LANES);
        for (int half = v.length / 2; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                v[i] += v[i + half];
            }
        }
        return v[0];
    }
}
