package org.qlora4j.kernel;

import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Lines of ggml's blocks decoded with the Vector API, to the bit as {@link BlockDecoder}, where the
 * layouts are told: each vector of bytes becomes one of ints, and that vectors of floats. For
 * {@linkplain VectorWidth#WHOLE whole} vectors.
 */
final class BlockLines {
    private static final VectorSpecies<Float> FLOATS = FloatMemory.FLOATS;
    private static final VectorSpecies<Integer> INTS = VectorWidth.INTS;
    private static final int LANES = FloatMemory.LANES;

    /** As many bytes as floats, or 8, the fewest there are. */
    private static final VectorSpecies<Byte> BYTES =
            LANES > 8 ? ByteVector.SPECIES_128 : ByteVector.SPECIES_64;

    /** 0, 1, 2 and so on. */
    private static final IntVector LANE = IntVector.zero(INTS).addIndex(1);

    /** Where the bytes of an int lie, for vectors of 4 lanes. */
    private static final IntVector BYTE_PLACES = LANE.lanewise(LSHL, 3).and(31);

    private static final MethodType LINE =
            MethodType.methodType(
                    void.class, MemorySegment.class, long.class, int.class, float[].class);

    private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

    private BlockLines() {}

    /** Decodes lines of one type. */
    private interface Line {
        /**
         * @param at of its first byte
         * @param count of its values, a multiple of the block's
         * @param out written from its beginning
         */
        void decode(MemorySegment in, long at, int count, float[] out);
    }

    /**
     * What decodes a type, behind a method handle, which the JIT does not inline where it is no
     * constant. Inlined into a loop, two types exceed what it compiles at once, and vectors become
     * objects, at a tenth of the speed.
     */
    static MethodHandle of(BlockType type) {
        Line line =
                switch (type) {
                    case Q4_0 -> BlockLines::decodeQ40;
                    case Q4_1 -> BlockLines::decodeQ41;
                    case Q5_0 -> BlockLines::decodeQ50;
                    case Q5_1 -> BlockLines::decodeQ51;
                    case Q8_0 -> BlockLines::decodeQ80;
                    case Q4_K -> BlockLines::decodeQ4K;
                    case Q5_K -> BlockLines::decodeQ5K;
                    case Q6_K -> BlockLines::decodeQ6K;
                    default -> throw new IllegalArgumentException("no weights in " + type);
                };
        return handle(line);
    }

    /** A line of any type, value by value, where vectors are not whole. */
    static MethodHandle plain(BlockType type) {
        return handle((in, at, count, out) -> {
            byte[] bytes = in.asSlice(at, type.bytes(count)).toArray(BYTE);
            BlockDecoder.decode(type, bytes, count, out);
        });
    }

    private static MethodHandle handle(Line line) {
        try {
            return MethodHandles.lookup().bind(line, "decode", LINE);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("the interface has the method", e);
        }
    }

    /** Decodes a line; see {@link Line}. */
    static void decode(MethodHandle line, MemorySegment in, long at, int count, float[] out) {
        try {
            line.invokeExact(in, at, count, out);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException("decoding throws nothing that is checked", e);
        }
    }

    private static void decodeQ40(MemorySegment in, long at, int count, float[] out) {
        for (int to = 0; to < count; to += 32) {
            long from = at + to / 32 * 18L;
            nibbles(in, from + 2, half(in, from), out, to);
        }
    }

    private static void decodeQ41(MemorySegment in, long at, int count, float[] out) {
        for (int to = 0; to < count; to += 32) {
            long from = at + to / 32 * 20L;
            nibbles(in, from + 4, half(in, from), half(in, from + 2), out, to);
        }
    }

    private static void decodeQ50(MemorySegment in, long at, int count, float[] out) {
        for (int to = 0; to < count; to += 32) {
            long from = at + to / 32 * 22L;
            fives(in, from + 2, half(in, from), out, to);
        }
    }

    private static void decodeQ51(MemorySegment in, long at, int count, float[] out) {
        for (int to = 0; to < count; to += 32) {
            long from = at + to / 32 * 24L;
            fives(in, from + 4, half(in, from), half(in, from + 2), out, to);
        }
    }

    private static void decodeQ80(MemorySegment in, long at, int count, float[] out) {
        for (int to = 0; to < count; to += 32) {
            long from = at + to / 32 * 34L;
            float scale = half(in, from);
            for (int i = 0; i < 32; i += LANES) {
                floats(signed(in, from + 2 + i)).mul(scale).intoArray(out, to + i);
            }
        }
    }

    private static void decodeQ4K(MemorySegment in, long at, int count, float[] out) {
        for (int to = 0; to < count; to += 256) {
            block4K(in, at + to / 256 * 144L, out, to);
        }
    }

    private static void decodeQ5K(MemorySegment in, long at, int count, float[] out) {
        for (int to = 0; to < count; to += 256) {
            block5K(in, at + to / 256 * 176L, out, to);
        }
    }

    private static void decodeQ6K(MemorySegment in, long at, int count, float[] out) {
        for (int to = 0; to < count; to += 256) {
            block6K(in, at + to / 256 * 210L, out, to);
        }
    }

    private static float half(MemorySegment in, long at) {
        return Float.float16ToFloat(in.get(SHORT, at));
    }

    /** A vector of bytes, each 0 to 255. */
    private static IntVector unsigned(MemorySegment in, long at) {
        if (LANES == 4) {
            IntVector four = IntVector.broadcast(INTS, in.get(INT, at));
            return four.lanewise(LSHR, BYTE_PLACES).and(255);
        }
        return (IntVector)
                ByteVector.fromMemorySegment(BYTES, in, at, LE)
                        .convertShape(VectorOperators.ZERO_EXTEND_B2I, INTS, 0);
    }

    /** A vector of bytes, each -128 to 127. */
    private static IntVector signed(MemorySegment in, long at) {
        if (LANES == 4) {
            return unsigned(in, at).lanewise(LSHL, 24).lanewise(ASHR, 24);
        }
        return (IntVector)
                ByteVector.fromMemorySegment(BYTES, in, at, LE)
                        .convertShape(VectorOperators.B2I, INTS, 0);
    }

    private static FloatVector floats(IntVector values) {
        return (FloatVector) values.convertShape(VectorOperators.I2F, FLOATS, 0);
    }

    private static void nibbles(MemorySegment in, long at, float scale, float[] out, int to) {
        for (int i = 0; i < 16; i += LANES) {
            IntVector codes = unsigned(in, at + i);
            floats(codes.and(15).sub(8)).mul(scale).intoArray(out, to + i);
            IntVector high = codes.lanewise(LSHR, 4);
            floats(high.sub(8)).mul(scale).intoArray(out, to + i + 16);
        }
    }

    private static void nibbles(
            MemorySegment in, long at, float scale, float minimum, float[] out, int to) {
        for (int i = 0; i < 16; i += LANES) {
            IntVector codes = unsigned(in, at + i);
            floats(codes.and(15)).mul(scale).add(minimum).intoArray(out, to + i);
            IntVector high = codes.lanewise(LSHR, 4);
            floats(high).mul(scale).add(minimum).intoArray(out, to + i + 16);
        }
    }

    /** Fifth bits from some value on, as 16 or 0. */
    private static IntVector fifth(int bits, int from) {
        return IntVector.broadcast(INTS, bits >>> from)
                .lanewise(LSHR, LANE)
                .and(1)
                .lanewise(LSHL, 4);
    }

    private static void fives(MemorySegment in, long at, float scale, float[] out, int to) {
        int bits = in.get(INT, at);
        for (int i = 0; i < 16; i += LANES) {
            IntVector codes = unsigned(in, at + 4 + i);
            IntVector low = codes.and(15).or(fifth(bits, i));
            floats(low.sub(16)).mul(scale).intoArray(out, to + i);
            IntVector high = codes.lanewise(LSHR, 4).or(fifth(bits, i + 16));
            floats(high.sub(16)).mul(scale).intoArray(out, to + i + 16);
        }
    }

    private static void fives(
            MemorySegment in, long at, float scale, float minimum, float[] out, int to) {
        int bits = in.get(INT, at);
        for (int i = 0; i < 16; i += LANES) {
            IntVector codes = unsigned(in, at + 4 + i);
            IntVector low = codes.and(15).or(fifth(bits, i));
            floats(low).mul(scale).add(minimum).intoArray(out, to + i);
            IntVector high = codes.lanewise(LSHR, 4).or(fifth(bits, i + 16));
            floats(high).mul(scale).add(minimum).intoArray(out, to + i + 16);
        }
    }

    /** Scales of sub-blocks 0 to 3 or 4 to 7 of Q4_K and Q5_K, a byte each. */
    private static int scales(MemorySegment in, long at, boolean upper) {
        int low = in.get(INT, at + 4);
        return upper
                ? in.get(INT, at + 12) & 0x0F0F0F0F | (low >>> 6 & 0x03030303) << 4
                : low & 0x3F3F3F3F;
    }

    /** As {@link #scales}, of the minima. */
    private static int minima(MemorySegment in, long at, boolean upper) {
        int low = in.get(INT, at + 8);
        return upper
                ? in.get(INT, at + 12) >>> 4 & 0x0F0F0F0F | (low >>> 6 & 0x03030303) << 4
                : low & 0x3F3F3F3F;
    }

    private static void block4K(MemorySegment in, long at, float[] out, int to) {
        float scale = half(in, at);
        float minimum = half(in, at + 2);
        for (int pair = 0; pair < 4; pair++) { // 32 bytes: two sub-blocks
            int scales = scales(in, at, pair > 1) >>> 16 * (pair & 1);
            int minima = minima(in, at, pair > 1) >>> 16 * (pair & 1);
            float lowScale = scale * (scales & 63);
            float lowMinimum = minimum * (minima & 63);
            float highScale = scale * (scales >>> 8 & 63);
            float highMinimum = minimum * (minima >>> 8 & 63);
            for (int i = 0; i < 32; i += LANES) {
                IntVector codes = unsigned(in, at + 16 + 32 * pair + i);
                FloatVector low = floats(codes.and(15));
                low.mul(lowScale).sub(lowMinimum).intoArray(out, to + 64 * pair + i);
                FloatVector high = floats(codes.lanewise(LSHR, 4));
                high.mul(highScale).sub(highMinimum).intoArray(out, to + 64 * pair + 32 + i);
            }
        }
    }

    private static void block5K(MemorySegment in, long at, float[] out, int to) {
        float scale = half(in, at);
        float minimum = half(in, at + 2);
        for (int pair = 0; pair < 4; pair++) {
            int scales = scales(in, at, pair > 1) >>> 16 * (pair & 1);
            int minima = minima(in, at, pair > 1) >>> 16 * (pair & 1);
            float lowScale = scale * (scales & 63);
            float lowMinimum = minimum * (minima & 63);
            float highScale = scale * (scales >>> 8 & 63);
            float highMinimum = minimum * (minima >>> 8 & 63);
            for (int i = 0; i < 32; i += LANES) {
                IntVector codes = unsigned(in, at + 48 + 32 * pair + i);
                IntVector bits = unsigned(in, at + 16 + i).lanewise(LSHR, 2 * pair);
                IntVector fifth = bits.and(1).lanewise(LSHL, 4);
                FloatVector low = floats(codes.and(15).or(fifth));
                low.mul(lowScale).sub(lowMinimum).intoArray(out, to + 64 * pair + i);
                fifth = bits.and(2).lanewise(LSHL, 3);
                FloatVector high = floats(codes.lanewise(LSHR, 4).or(fifth));
                high.mul(highScale).sub(highMinimum).intoArray(out, to + 64 * pair + 32 + i);
            }
        }
    }

    private static void block6K(MemorySegment in, long at, float[] out, int to) {
        float scale = half(in, at + 208);
        for (int quarter = 0; quarter < 4; quarter++) { // 32 bytes of nibbles: 64 values
            int odd = quarter & 1;
            int half = quarter >> 1;
            for (int i = 0; i < 32; i += LANES) {
                IntVector low = unsigned(in, at + 32 * quarter + i);
                IntVector high = unsigned(in, at + 128 + 32 * half + i).lanewise(LSHR, 2 * odd);
                long own = at + 192 + 8 * half + 2 * odd + i / 16;
                int first = to + 128 * half + 32 * odd + i;
                sixth(low.and(15), high.lanewise(LSHL, 4), scale * in.get(BYTE, own))
                        .intoArray(out, first);
                sixth(low.lanewise(LSHR, 4), high, scale * in.get(BYTE, own + 4))
                        .intoArray(out, first + 64);
            }
        }
    }

    /** Values of four low bits and two above them, among others. */
    private static FloatVector sixth(IntVector low, IntVector high, float scale) {
        return floats(low.or(high.and(0x30)).sub(32)).mul(scale);
    }
}
