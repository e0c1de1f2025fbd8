package org.qlora4j.kernel;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * {@code exp} of values of at most 0, as softmax needs it, to 2 units in the last place: a power of
 * two times a polynomial on [-ln 2 / 2, ln 2 / 2] (coefficients of Cephes {@code expf}). Below -87
 * the result is 0.
 */
final class FastExp {
    private static final float LOG2E = 1.44269504088896341f;
    private static final float LN2_HIGH = 0.693359375f;
    private static final float LN2_LOW = -2.12194440e-4f;
    private static final float SMALLEST = -87f;

    private FastExp() {}

    static FloatVector of(FloatVector x) {
        FloatVector clamped = x.max(SMALLEST);
        FloatVector shifted =
                clamped.fma(
                        broadcast(LOG2E), broadcast(12582912f)); // 1.5 * 2^23 rounds to an integer
        FloatVector whole = shifted.sub(12582912f);
        FloatVector r = whole.fma(broadcast(-LN2_HIGH), clamped);
        r = whole.fma(broadcast(-LN2_LOW), r);
        FloatVector p = broadcast(1.9875691500e-4f);
        p = p.fma(r, broadcast(1.3981999507e-3f));
        p = p.fma(r, broadcast(8.3334519073e-3f));
        p = p.fma(r, broadcast(4.1665795894e-2f));
        p = p.fma(r, broadcast(1.6666665459e-1f));
        p = p.fma(r, broadcast(5.0000001201e-1f));
        FloatVector y = p.fma(r.mul(r), r).add(1f);
        // the integer sits in the low bits of the shifted value: moved to the exponent it is a
        // power of two
        IntVector power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
        FloatVector result = y.reinterpretAsInts().add(power).reinterpretAsFloats();
        return result.blend(0f, x.compare(VectorOperators.LT, SMALLEST));
    }

    /** exp of one value, for CPUs without the instructions that vectors need here. */
    static float of(float x) {
        if (x < SMALLEST) {
            return 0;
        }
        float shifted = x * LOG2E + 12582912f;
        float whole = shifted - 12582912f;
        float r = x - whole * LN2_HIGH;
        r = r - whole * LN2_LOW;
        float p = 1.9875691500e-4f;
        p = p * r + 1.3981999507e-3f;
        p = p * r + 8.3334519073e-3f;
        p = p * r + 4.1665795894e-2f;
        p = p * r + 1.6666665459e-1f;
        p = p * r + 5.0000001201e-1f;
        float y = p * (r * r) + r + 1;
        int power = Float.floatToRawIntBits(shifted) << 23;
        return Float.intBitsToFloat(Float.floatToRawIntBits(y) + power);
    }

    private static FloatVector broadcast(float value) {
        return FloatVector.broadcast(FloatMemory.FLOATS, value);
    }
}
