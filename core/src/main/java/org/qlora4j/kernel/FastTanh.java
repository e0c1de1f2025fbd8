package org.qlora4j.kernel;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * {@code tanh}, as caps of scores need it, to 2 units in the last place: a polynomial near 0
 * (coefficients of Cephes {@code tanhf}), elsewhere {@code 1 - 2 / (1 + exp(2|x|))} by an
 * exponential of at most 1.
 */
final class FastTanh {
    /** Where the polynomial ends. */
    private static final float SMALL = 0.625f;

    private FastTanh() {}

    static FloatVector of(FloatVector x) {
        FloatVector z = x.mul(x);
        FloatVector p = z.mul(-5.70498872745e-3f).add(2.06390887954e-2f);
        p = p.mul(z).add(-5.37397155531e-2f);
        p = p.mul(z).add(1.33314422036e-1f);
        p = p.mul(z).add(-3.33332819422e-1f);
        FloatVector near = p.mul(z).mul(x).add(x);
        FloatVector size = x.abs();
        FloatVector e = FastExp.of(size.mul(-2f));
        FloatVector far = e.neg().add(1f).div(e.add(1f));
        far = far.blend(far.neg(), x.compare(VectorOperators.LT, 0f));
        return far.blend(near, size.compare(VectorOperators.LT, SMALL));
    }

    /** tanh of one value. */
    static float of(float x) {
        float size = Math.abs(x);
        if (size < SMALL) {
            float z = x * x;
            float p = z * -5.70498872745e-3f + 2.06390887954e-2f;
            p = p * z - 5.37397155531e-2f;
            p = p * z + 1.33314422036e-1f;
            p = p * z - 3.33332819422e-1f;
            return p * z * x + x;
        }
        float e = FastExp.of(-2 * size);
        float far = (1 - e) / (1 + e);
        return x < 0 ? -far : far;
    }

    /**
     * Draws values into ±cap: each x becomes {@code cap · tanh(x / cap)}, up to a whole vector.
     *
     * @param length whole vectors are worked on, so the row must have room for them
     */
    static void cap(float[] row, int from, int length, float cap) {
        float inverse = 1 / cap;
        if (!VectorWidth.WHOLE) {
            for (int i = from; i < from + length; i++) {
                row[i] = cap * of(row[i] * inverse);
            }
            return;
        }
        for (int i = from; i < from + length; i += FloatMemory.LANES) {
            FloatVector x = FloatVector.fromArray(FloatMemory.FLOATS, row, i);
            of(x.mul(inverse)).mul(cap).intoArray(row, i);
        }
    }
}
