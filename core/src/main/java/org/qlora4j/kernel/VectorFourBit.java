package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link FourBit} with the Vector API, on all cores. Needs vectors of 16 floats: the 16 levels of a
 * block, already multiplied by its absmax and rounded, then fit one register, and decoding a code
 * is one permute.
 */
record VectorFourBit(Workers workers) implements FourBit {
    private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_512;
    private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_512;
    private static final VectorSpecies<Byte> BYTES = ByteVector.SPECIES_128;
    private static final VectorShuffle<Integer> ZIP_LOW = VectorShuffle.makeZip(INTS, 0);
    private static final VectorShuffle<Integer> ZIP_HIGH = VectorShuffle.makeZip(INTS, 1);
    private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfDouble DOUBLE = ValueLayout.JAVA_DOUBLE_UNALIGNED;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;

    /** Elements of one task: a multiple of every block size, about 50 us of work. */
    private static final int TASK = 1 << 17;

    // ---- quantize

    @Override
    public void quantize(
            Tensor values, CodeTable table, int blockSize, Tensor codes, Tensor absmax) {
        long n = values.count();
        MemorySegment in = values.segment();
        MemorySegment packed = codes.segment();
        MemorySegment scales = absmax.segment();
        DType type = values.dtype();
        workers.run(
                Math.toIntExact((n + TASK - 1) / TASK),
                task -> {
                    float[] block = new float[blockSize];
                    byte[] block4 = new byte[blockSize + 1];
                    long end = Math.min(n, (task + 1L) * TASK);
                    for (long start = (long) task * TASK; start < end; start += blockSize) {
                        int length = (int) Math.min(blockSize, n - start);
                        load(in, type, start, length, block);
                        float max = absmax(block, length);
                        if (length < blockSize) {
                            max = max < TINY ? TINY : max;
                        }
                        scales.setAtIndex(FLOAT, start / blockSize, max);
                        encode(block, length, 1 / (max < TINY ? TINY : max), table, block4);
                        if (length % 2 == 1) {
                            block4[length] = (byte) table.code(0);
                        }
                        for (int i = 0; i < length; i += 2) {
                            packed.set(
                                    BYTE, (start + i) / 2, (byte) (block4[i] << 4 | block4[i + 1]));
                        }
                    }
                });
    }

    /** Elements of any float type in f32. */
    static void load(MemorySegment in, DType type, long start, int length, float[] block) {
        switch (type) {
            case F32 -> MemorySegment.copy(in, FLOAT, start * 4, block, 0, length);
            case BF16 -> {
                for (int i = 0; i < length; i++) {
                    block[i] = Float.intBitsToFloat(in.get(SHORT, (start + i) * 2) << 16);
                }
            }
            case F16 -> {
                for (int i = 0; i < length; i++) {
                    block[i] = Float.float16ToFloat(in.get(SHORT, (start + i) * 2));
                }
            }
            case F64 -> {
                for (int i = 0; i < length; i++) {
                    block[i] = (float) in.get(DOUBLE, (start + i) * 8);
                }
            }
            default ->
                    throw new IllegalArgumentException(
                            "weights of type " + type + " cannot be quantized");
        }
    }

    private static float absmax(float[] block, int length) {
        FloatVector max = FloatVector.zero(FLOATS);
        int i = 0;
        for (; i <= length - FLOATS.length(); i += FLOATS.length()) {
            max = max.max(FloatVector.fromArray(FLOATS, block, i).abs());
        }
        float result = max.reduceLanes(VectorOperators.MAX);
        for (; i < length; i++) {
            result = Math.max(result, Math.abs(block[i]));
        }
        return result;
    }

    /** Binary search of 16 values at once among the thresholds, then code of position. */
    private static void encode(
            float[] block, int length, float reciprocal, CodeTable table, byte[] out) {
        float[] padded = new float[16];
        System.arraycopy(table.thresholds(), 0, padded, 0, 15);
        padded[15] = Float.POSITIVE_INFINITY;
        FloatVector thresholds = FloatVector.fromArray(FLOATS, padded, 0);
        IntVector codeOf =
                (IntVector)
                        ByteVector.fromArray(BYTES, table.codeOfPosition(), 0).castShape(INTS, 0);
        int i = 0;
        for (; i <= length - FLOATS.length(); i += FLOATS.length()) {
            FloatVector x = FloatVector.fromArray(FLOATS, block, i).mul(reciprocal);
            IntVector position = IntVector.zero(INTS);
            for (int step = 8; step > 0; step >>= 1) {
                FloatVector boundary =
                        thresholds.rearrange(position.add(step - 1).toShuffle().cast(FLOATS));
                VectorMask<Integer> above = x.compare(VectorOperators.GT, boundary).cast(INTS);
                position = position.add(step, above);
            }
            IntVector codes = position.selectFrom(codeOf);
            ((ByteVector) codes.castShape(BYTES, 0)).intoArray(out, i);
        }
        for (; i < length; i++) {
            out[i] = (byte) table.code(block[i] * reciprocal);
        }
    }

    // ---- dequantize

    @Override
    public void dequantize(
            Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor out) {
        long n = out.count();
        MemorySegment packed = codes.segment();
        MemorySegment target = out.segment();
        SingleAbsmax decoded = SingleAbsmax.of(scales);
        boolean bf16 = out.dtype() == DType.BF16;
        if (!bf16 && out.dtype() != DType.F32) {
            throw new IllegalArgumentException(
                    "the vector kernels write F32 or BF16, not " + out.dtype());
        }
        workers.run(
                Math.toIntExact((n + TASK - 1) / TASK),
                task -> {
                    FloatVector levels = FloatVector.fromArray(FLOATS, table.levels(), 0);
                    long end = Math.min(n, (task + 1L) * TASK);
                    for (long start = (long) task * TASK; start < end; start += blockSize) {
                        int length = (int) Math.min(blockSize, n - start);
                        FloatVector values = levels.mul(decoded.at(start / blockSize));
                        if (bf16) {
                            writeBf16(
                                    packed,
                                    target,
                                    start,
                                    length,
                                    roundToBf16(values.reinterpretAsInts()));
                        } else {
                            writeF32(packed, target, start, length, values.reinterpretAsInts());
                        }
                    }
                });
    }

    /** Nearest-even upper halves of finite floats, in the low 16 bits. */
    private static IntVector roundToBf16(IntVector bits) {
        IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).and(1);
        return bits.add(odd).add(0x7FFF).lanewise(VectorOperators.LSHR, 16);
    }

    private static void writeBf16(
            MemorySegment packed, MemorySegment out, long start, int length, IntVector table) {
        int i = 0;
        for (; i <= length - 32; i += 32) {
            IntVector pair = pairs(packed, (start + i) / 2);
            IntVector first = pair.lanewise(VectorOperators.LSHR, 4).selectFrom(table);
            IntVector second = pair.and(15).selectFrom(table);
            // little-endian: the first of two neighbours is the low half of the int
            second.lanewise(VectorOperators.LSHL, 16)
                    .or(first)
                    .intoMemorySegment(out, (start + i) * 2, LE);
        }
        if (i < length) {
            int[] values = table.toArray();
            for (; i < length; i++) {
                out.set(SHORT, (start + i) * 2, (short) values[code(packed, start + i)]);
            }
        }
    }

    private static void writeF32(
            MemorySegment packed, MemorySegment out, long start, int length, IntVector table) {
        int i = 0;
        for (; i <= length - 32; i += 32) {
            IntVector pair = pairs(packed, (start + i) / 2);
            IntVector first = pair.lanewise(VectorOperators.LSHR, 4).selectFrom(table);
            IntVector second = pair.and(15).selectFrom(table);
            first.rearrange(ZIP_LOW, second).intoMemorySegment(out, (start + i) * 4, LE);
            first.rearrange(ZIP_HIGH, second).intoMemorySegment(out, (start + i + 16) * 4, LE);
        }
        if (i < length) {
            int[] values = table.toArray();
            for (; i < length; i++) {
                out.set(INT, (start + i) * 4, values[code(packed, start + i)]);
            }
        }
    }

    /** 16 bytes, each in an int lane. */
    private static IntVector pairs(MemorySegment packed, long at) {
        return ((IntVector) ByteVector.fromMemorySegment(BYTES, packed, at, LE).castShape(INTS, 0))
                .and(0xFF);
    }

    /** The code of one element. */
    static int code(MemorySegment packed, long element) {
        int pair = packed.get(BYTE, element / 2) & 0xFF;
        return element % 2 == 0 ? pair >>> 4 : pair & 15;
    }
}
