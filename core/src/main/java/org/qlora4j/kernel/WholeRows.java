package org.qlora4j.kernel;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Levels of a 4-bit type, and groups of x, as whole numbers of 16 bits: {@code x = unit * whole}.
 * Products of them add up exactly in 32 bits, twice as many an instruction as of floats.
 *
 * <p>A level keeps 13 bits behind its sign. The numbers of a group of x are as large as 16 bits and
 * the sum of 64 products allow: about 2<sup>-14</sup> of x's deviation is lost, an eighth of what
 * bf16 loses.
 */
final class WholeRows {
    /** Values of x that share a unit. */
    static final int GROUP = VectorFourBitProduct.HALF;

    /** What stands for the largest level. */
    private static final int LARGEST_LEVEL = 1 << 13;

    /** Most that absolute values of a group add up to, before each is rounded. */
    private static final float LARGEST_SUM = (float) ((1L << 31) / LARGEST_LEVEL - GROUP);

    /** Most that x is multiplied with, so that its unit is a normal number. */
    private static final float LARGEST_FACTOR = 1e30f;

    /** A sum with it has the rounded number in its lowest bits. */
    private static final float TO_LOWEST_BITS = 3 << 22;

    private WholeRows() {}

    /** The level of each code. */
    static short[] levels(CodeTable table) {
        double unit = unit(table);
        short[] whole = new short[table.levels().length];
        for (int i = 0; i < whole.length; i++) {
            whole[i] = (short) Math.rint(table.levels()[i] / unit);
        }
        return whole;
    }

    /** What a level of 1 stands for. */
    static double unit(CodeTable table) {
        float largest = 0;
        for (float level : table.levels()) {
            largest = Math.max(largest, Math.abs(level));
        }
        return (double) largest / LARGEST_LEVEL;
    }

    /**
     * Rounds the group of {@code x} that begins at {@code from}. Where x has values that are not
     * finite, the unit is not either, and all numbers are 0, so that products are NaN.
     *
     * @param whole written: the numbers, in their lowest 16 bits
     * @param unitOfLevels from {@link #unit}
     * @return unit of x times that of levels
     */
    static float round(float[] x, int from, int[] whole, double unitOfLevels) {
        FloatVector sums = FloatVector.zero(FloatMemory.FLOATS);
        FloatVector largest = sums;
        for (int i = 0; i < GROUP; i += FloatMemory.LANES) {
            FloatVector size = FloatVector.fromArray(FloatMemory.FLOATS, x, from + i).abs();
            sums = sums.add(size);
            largest = largest.blend(size, size.compare(VectorOperators.GT, largest));
        }
        float most = largest.reduceLanes(VectorOperators.MAX);
        // the sum may overflow; that of as many of the largest number may not
        float forSum = Math.max(LARGEST_SUM / FloatMemory.sum(sums), LARGEST_SUM / GROUP / most);
        float factor = Math.min(Math.min(Short.MAX_VALUE / most, forSum), LARGEST_FACTOR);
        multiply(x, from, factor, whole);
        return (float) (unitOfLevels / factor);
    }

    private static void multiply(float[] x, int from, float factor, int[] whole) {
        FloatVector factors = FloatVector.broadcast(FloatMemory.FLOATS, factor);
        FloatVector lowest = FloatVector.broadcast(FloatMemory.FLOATS, TO_LOWEST_BITS);
        for (int i = 0; i < GROUP; i += FloatMemory.LANES) {
            FloatVector values = FloatVector.fromArray(FloatMemory.FLOATS, x, from + i);
            FloatMemory.fma(values, factors, lowest).reinterpretAsInts().intoArray(whole, i);
        }
    }
}
