package org.qlora4j.testing;

import java.util.Random;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/** Random values from a fixed seed. */
public final class Samples {
    private Samples() {}

    /** Standard normal values. */
    public static float[] normal(int count, long seed) {
        Random random = new Random(seed);
        float[] out = new float[count];
        for (int i = 0; i < count; i++) {
            out[i] = (float) random.nextGaussian();
        }
        return out;
    }

    /** Standard normal values as a tensor. */
    public static Tensor normal(DType dtype, long seed, long... shape) {
        long n = 1;
        for (long s : shape) {
            n *= s;
        }
        return Tensors.of(normal(Math.toIntExact(n), seed), shape).to(dtype);
    }
}
