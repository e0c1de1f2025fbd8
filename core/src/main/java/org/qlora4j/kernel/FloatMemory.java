package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * The memory of an F32 or BF16 tensor, read and written as vectors as wide as the machine's. A bf16
 * value is the upper half of a float; writing rounds to nearest, ties to even. Positions count
 * elements.
 */
record FloatMemory(MemorySegment memory, boolean bf16) {
    static final VectorSpecies<Float> FLOATS = VectorWidth.FLOATS;
    static final int LANES = FLOATS.length();
    private static final ThreadLocal<float[]> SCRATCH = ThreadLocal.withInitial(() -> new float[0]);
    private static final VectorShuffle<Float> SWAP_8 = swap(8);
    private static final VectorShuffle<Float> SWAP_4 = swap(4);
    private static final VectorShuffle<Float> SWAP_2 = swap(2);
    private static final VectorShuffle<Float> SWAP_1 = swap(1);
    private static final VectorSpecies<Integer> INTS = VectorWidth.INTS;
    private static final VectorSpecies<Short> SHORTS = VectorWidth.SHORTS;
    private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

    static FloatMemory of(Tensor tensor) {
        return new FloatMemory(tensor.segment(), tensor.dtype() == DType.BF16);
    }

    /** Each lane beside the one {@code by} lanes away, in groups of twice as many. */
    private static VectorShuffle<Float> swap(int by) {
        return VectorShuffle.fromOp(FLOATS, i -> i ^ by & LANES - 1);
    }

    /** {@code a * b + c}, rounded once where the CPU has an instruction for that. */
    static FloatVector fma(FloatVector a, FloatVector b, FloatVector c) {
        return VectorWidth.WHOLE ? a.fma(b, c) : a.mul(b).add(c);
    }

    /** Whether tensors of this type can be read so. */
    static boolean reads(DType dtype) {
        return dtype == DType.F32 || dtype == DType.BF16;
    }

    /**
     * Elements in f32, for machine code, which checks nothing itself.
     *
     * @throws IllegalStateException if they are of another type
     * @throws IndexOutOfBoundsException if they do not all lie here
     */
    MemorySegment part(long from, long count) {
        if (bf16) {
            throw new IllegalStateException("bf16 where f32 is needed");
        }
        return memory.asSlice(from * Float.BYTES, count * Float.BYTES);
    }

    FloatVector load(long at) {
        if (bf16) {
            ShortVector half = ShortVector.fromMemorySegment(SHORTS, memory, at * 2, LE);
            IntVector bits =
                    (IntVector) half.convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0);
            return bits.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
        }
        return FloatVector.fromMemorySegment(FLOATS, memory, at * 4, LE);
    }

    void store(FloatVector values, long at) {
        if (bf16) {
            IntVector bits = values.reinterpretAsInts();
            IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).and(1);
            IntVector rounded = bits.add(odd).add(0x7FFF).lanewise(VectorOperators.LSHR, 16);
            ((ShortVector) rounded.convertShape(VectorOperators.I2S, SHORTS, 0))
                    .intoMemorySegment(memory, at * 2, LE);
        } else {
            values.intoMemorySegment(memory, at * 4, LE);
        }
    }

    float get(long at) {
        return bf16
                ? Float.intBitsToFloat(memory.get(SHORT, at * 2) << 16)
                : memory.get(FLOAT, at * 4);
    }

    void set(long at, float value) {
        if (bf16) {
            memory.set(SHORT, at * 2, (short) (roundToBf16(value) >>> 16));
        } else {
            memory.set(FLOAT, at * 4, value);
        }
    }

    /** Sets elements to 0. */
    void clear(long from, long to) {
        FloatVector zero = FloatVector.zero(FLOATS);
        long at = from;
        for (; at <= to - LANES; at += LANES) {
            store(zero, at);
        }
        for (; at < to; at++) {
            set(at, 0);
        }
    }

    /** The bits of the nearest bf16 value, as a float's. */
    private static int roundToBf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        return bits + 0x7FFF + (bits >>> 16 & 1) & 0xFFFF0000;
    }

    /** The value as it is after a trip through this type. */
    FloatVector round(FloatVector values) {
        if (!bf16) {
            return values;
        }
        IntVector bits = values.reinterpretAsInts();
        IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).and(1);
        return bits.add(odd).add(0x7FFF).and(0xFFFF0000).reinterpretAsFloats();
    }

    /** As {@link #round(FloatVector)}. */
    float round(float value) {
        return bf16 ? Float.intBitsToFloat(roundToBf16(value)) : value;
    }

    /**
     * Copies a row out in f32.
     *
     * @return its largest value; -infinity for an empty row. NaN is passed over
     */
    float copyRow(long start, int length, float[] into) {
        if (!VectorWidth.WHOLE) {
            return copyOneByOne(start, length, into);
        }
        FloatVector maxima = FloatVector.broadcast(FLOATS, Float.NEGATIVE_INFINITY);
        int i = 0;
        for (; i <= length - LANES; i += LANES) {
            FloatVector x = load(start + i);
            x.intoArray(into, i);
            // twice as fast as max(), which must mind the order of zeros and NaN
            maxima = maxima.blend(x, x.compare(VectorOperators.GT, maxima));
        }
        float max = maxima.reduceLanes(VectorOperators.MAX);
        for (; i < length; i++) {
            into[i] = get(start + i);
            max = Math.max(max, into[i]);
        }
        return max;
    }

    private float copyOneByOne(long start, int length, float[] into) {
        float max = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < length; i++) {
            float x = get(start + i);
            into[i] = x;
            max = x > max ? x : max;
        }
        return max;
    }

    /** The largest magnitude of a row's first values; 0 if there are none. */
    static float absmax(float[] row, int length) {
        FloatVector largest = FloatVector.zero(FLOATS);
        int i = 0;
        for (; VectorWidth.WHOLE && i <= length - LANES; i += LANES) {
            largest = largest.max(FloatVector.fromArray(FLOATS, row, i).abs());
        }
        float result = i == 0 ? 0 : largest.reduceLanes(VectorOperators.MAX);
        for (; i < length; i++) {
            result = Math.max(result, Math.abs(row[i]));
        }
        return result;
    }

    /** A length rounded up to whole vectors. */
    static int wholeVectors(int length) {
        return (length + LANES - 1) / LANES * LANES;
    }

    /**
     * Turns each x of a row in {@link #scratch} into {@code exp((x - max) * scale)}. A method by
     * itself, as is {@link #storeScaled}: in a longer one the JVM leaves vectors as objects, at a
     * third of the speed.
     *
     * @return their sum
     */
    static float exponentials(float[] row, int length, float max, float scale) {
        if (!VectorWidth.WHOLE) {
            return exponentialsOneByOne(row, length, max, scale);
        }
        Arrays.fill(row, length, wholeVectors(length), Float.NEGATIVE_INFINITY); // 0 in the sum
        FloatVector sums = FloatVector.zero(FLOATS);
        for (int i = 0; i < length; i += LANES) {
            FloatVector y = FastExp.of(FloatVector.fromArray(FLOATS, row, i).sub(max).mul(scale));
            y.intoArray(row, i);
            sums = sums.add(y);
        }
        return sum(sums);
    }

    private static float exponentialsOneByOne(float[] row, int length, float max, float scale) {
        double sum = 0;
        for (int i = 0; i < length; i++) {
            row[i] = FastExp.of((row[i] - max) * scale);
            sum += row[i];
        }
        return (float) sum;
    }

    /** Writes a row, each value times a factor. */
    void storeScaled(float[] row, int length, float factor, long start) {
        int i = 0;
        for (; i <= length - LANES; i += LANES) {
            store(FloatVector.fromArray(FLOATS, row, i).mul(factor), start + i);
        }
        for (; i < length; i++) {
            set(start + i, row[i] * factor);
        }
    }

    /** Adds a row, each value times a factor, to what is there. */
    void addScaled(float[] rows, int from, int length, float factor, long start) {
        int i = 0;
        for (; i <= length - LANES; i += LANES) {
            FloatVector added = FloatVector.fromArray(FLOATS, rows, from + i).mul(factor);
            store(load(start + i).add(added), start + i);
        }
        for (; i < length; i++) {
            set(start + i, get(start + i) + rows[from + i] * factor);
        }
    }

    /**
     * This thread's room for a row of so many floats and its padding to whole vectors; its content
     * is whatever was there.
     */
    static float[] scratch(int length) {
        float[] scratch = SCRATCH.get();
        if (scratch.length < length + LANES) {
            scratch = new float[length + LANES];
            SCRATCH.set(scratch);
        }
        return scratch;
    }

    /**
     * The sum of all lanes, added in halves: 8 + 8, 4 + 4, 2 + 2, 1 + 1 of 16. The Vector API's own
     * sum has no fixed order: its bits change when the JVM compiles the loop, and a resumed run
     * would not be that which was never stopped.
     */
    static float sum(FloatVector lanes) {
        if (!VectorWidth.WHOLE) {
            return lanes.lane(0) + lanes.lane(2) + (lanes.lane(1) + lanes.lane(3));
        }
        FloatVector sum = LANES > 8 ? lanes.add(lanes.rearrange(SWAP_8)) : lanes;
        sum = LANES > 4 ? sum.add(sum.rearrange(SWAP_4)) : sum;
        sum = sum.add(sum.rearrange(SWAP_2));
        return sum.add(sum.rearrange(SWAP_1)).lane(0);
    }
}
