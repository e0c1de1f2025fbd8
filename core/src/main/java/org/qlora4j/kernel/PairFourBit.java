package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link FourBit} with vectors of 8 or 4 floats, on all cores. The 16 levels do not fit one
 * register there: a byte of two codes finds its two levels in a table of 256 pairs. Only what every
 * CPU's vectors do is used.
 */
record PairFourBit(Workers workers) implements FourBit {
    private static final VectorSpecies<Float> FLOATS = FloatMemory.FLOATS;
    private static final int LANES = FloatMemory.LANES;
    private static final VectorSpecies<Float> PAIR = FloatVector.SPECIES_64;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;

    /** Elements of one task: a multiple of every block size, about 100 us of work. */
    private static final int TASK = 1 << 17;

    /** The levels of both codes of each byte, the first in its high half. */
    static float[] pairs(CodeTable table) {
        float[] pairs = new float[2 << 8];
        for (int b = 0; b < 1 << 8; b++) {
            pairs[2 * b] = table.levels()[b >> 4];
            pairs[2 * b + 1] = table.levels()[b & 15];
        }
        return pairs;
    }

    /**
     * Writes the levels of bytes {@code at} to {@code at + count - 1} of {@code packed}. A method
     * by itself, which the JIT compiles by itself.
     */
    static void decode(
            MemorySegment packed, long at, int count, float[] pairs, float[] out, int from) {
        for (int i = 0; i < count; i++) {
            int pair = packed.get(BYTE, at + i) & 0xFF;
            FloatVector.fromArray(PAIR, pairs, 2 * pair).intoArray(out, from + 2 * i);
        }
    }

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
                    int[] positions = new int[blockSize + 1];
                    long end = Math.min(n, (task + 1L) * TASK);
                    for (long start = (long) task * TASK; start < end; start += blockSize) {
                        int length = (int) Math.min(blockSize, n - start);
                        VectorFourBit.load(in, type, start, length, block);
                        float max = FloatMemory.absmax(block, length);
                        if (length < blockSize) {
                            max = max < TINY ? TINY : max;
                        }
                        scales.setAtIndex(FLOAT, start / blockSize, max);
                        position(block, length, 1 / (max < TINY ? TINY : max), table, positions);
                        positions[length] = position(0, table.thresholds());
                        pack(positions, length, table.codeOfPosition(), packed, start / 2);
                    }
                });
    }

    /** The number of thresholds below each value: those whose distance is negative. */
    private static void position(
            float[] block, int length, float reciprocal, CodeTable table, int[] out) {
        float[] thresholds = table.thresholds();
        int i = 0;
        for (; i <= length - LANES; i += LANES) {
            FloatVector x = FloatVector.fromArray(FLOATS, block, i).mul(reciprocal);
            IntVector position = IntVector.zero(VectorWidth.INTS);
            for (int t = 0; t < 15; t++) {
                IntVector distance =
                        FloatVector.broadcast(FLOATS, thresholds[t]).sub(x).reinterpretAsInts();
                position = position.add(distance.lanewise(VectorOperators.LSHR, 31));
            }
            position.intoArray(out, i);
        }
        for (; i < length; i++) {
            out[i] = position(block[i] * reciprocal, thresholds);
        }
    }

    private static int position(float x, float[] thresholds) {
        int position = 0;
        for (float threshold : thresholds) {
            position += Float.floatToRawIntBits(threshold - x) >>> 31;
        }
        return position;
    }

    private static void pack(
            int[] positions, int length, byte[] codes, MemorySegment packed, long at) {
        for (int i = 0; i < length; i += 2) {
            int pair = codes[positions[i]] << 4 | codes[positions[i + 1]];
            packed.set(BYTE, at + i / 2, (byte) pair);
        }
    }

    // ---- dequantize

    @Override
    public void dequantize(
            Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor out) {
        long n = out.count();
        MemorySegment packed = codes.segment();
        MemorySegment target = out.segment();
        SingleAbsmax absmax = SingleAbsmax.of(scales);
        boolean bf16 = out.dtype() == DType.BF16;
        if (!bf16 && out.dtype() != DType.F32) {
            throw new IllegalArgumentException(
                    "the vector kernels write F32 or BF16, not " + out.dtype());
        }
        float[] pairs = pairs(table);
        workers.run(
                Math.toIntExact((n + TASK - 1) / TASK),
                task -> {
                    float[] row = FloatMemory.scratch(2 * blockSize);
                    int[] rounded = new int[16];
                    long end = Math.min(n, (task + 1L) * TASK);
                    for (long start = (long) task * TASK; start < end; start += blockSize) {
                        int length = (int) Math.min(blockSize, n - start);
                        float scale = absmax.at(start / blockSize);
                        if (bf16) {
                            roundToBf16(table.levels(), scale, rounded);
                            writeBf16(packed, target, start, length, rounded);
                        } else {
                            decode(packed, start / 2, (length + 1) / 2, pairs, row, 0);
                            writeScaled(row, length, scale, target, start);
                        }
                    }
                });
    }

    private static void writeScaled(
            float[] row, int length, float scale, MemorySegment out, long start) {
        int i = 0;
        for (; i <= length - LANES; i += LANES) {
            FloatVector.fromArray(FLOATS, row, i)
                    .mul(scale)
                    .intoMemorySegment(out, (start + i) * 4, ByteOrder.LITTLE_ENDIAN);
        }
        for (; i < length; i++) {
            out.set(FLOAT, (start + i) * 4, row[i] * scale);
        }
    }

    /** Nearest-even upper halves of scaled levels. */
    private static void roundToBf16(float[] levels, float scale, int[] out) {
        for (int i = 0; i < 16; i++) {
            int bits = Float.floatToRawIntBits(levels[i] * scale);
            out[i] = bits + 0x7FFF + (bits >>> 16 & 1) >>> 16;
        }
    }

    private static void writeBf16(
            MemorySegment packed, MemorySegment out, long start, int length, int[] levels) {
        int i = 0;
        for (; i < length - 1; i += 2) {
            int pair = packed.get(BYTE, (start + i) / 2) & 0xFF;
            // little-endian: the first of two neighbours is the low half of the int
            out.set(INT, (start + i) * 2, levels[pair & 15] << 16 | levels[pair >> 4]);
        }
        if (i < length) {
            int first = VectorFourBit.code(packed, start + i);
            out.set(SHORT, (start + i) * 2, (short) levels[first]);
        }
    }
}
