package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link FourBitProduct} with the Vector API. One load brings the codes of 128 weights, eight to an
 * int lane; each shift by 4 bits turns a permute of the 16 levels to the next of the eight. x is
 * laid out beforehand in the order in which the weights so come. A scale is applied once to the sum
 * of eight products, which are added in two chains of four.
 *
 * <p>Where x has several rows, a line of W is decoded once, into a cache. Both ways multiply and
 * add in the same order, so that a row's bits do not depend on how many there are.
 */
record VectorFourBitProduct(Workers workers) implements FourBitProduct {
    private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_512;
    private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_512;
    private static final VectorMask<Float> UPPER = VectorMask.fromLong(FLOATS, 0xFF00);
    private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
    private static final int LANES = FLOATS.length();

    /** Weights of one load. */
    static final int GROUP = 128;

    /** Weights of half a load, which must have one scale. */
    static final int HALF = GROUP / 2;

    /** Weights of one task, about 2 us of work. */
    static final int TASK = 1 << 15;

    @Override
    public boolean takes(DType dtype, long rows, long in, int blockSize) {
        return rows <= MOST_ROWS && fits(dtype, in, blockSize);
    }

    /** Weights that it takes, and, in blocks that are a power of two, the same in machine code. */
    static boolean fits(DType dtype, long in, int blockSize) {
        return in >= GROUP
                && blockSize % HALF == 0
                && in % blockSize == 0
                && FloatMemory.reads(dtype);
    }

    @Override
    public void multiply(
            Tensor x, Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor y) {
        int in = Math.toIntExact(x.size(-1));
        int out = Math.toIntExact(y.size(-1));
        int rows = Math.toIntExact(x.count() / in);
        int groups = Math.ceilDiv(in, GROUP);
        float[] laid = layOut(FloatMemory.of(x), rows, in, groups);
        float[] levels = table.levels();
        FloatMemory target = FloatMemory.of(y);
        MemorySegment packed = codes.segment();
        boolean overreads = in % GROUP != 0;
        MemorySegment lastLine = overreads ? padded(packed, in, out) : packed;
        AbsmaxRuns absmax = AbsmaxRuns.of(scales, blockSize / HALF);
        workers.runLines(
                out,
                TASK / in,
                (first, end) -> {
                    int halves = in / HALF;
                    int room = (end - first) * halves;
                    float[] scratch = FloatMemory.scratch(room + (rows > 1 ? groups * GROUP : 0));
                    absmax.decode((long) first * halves, room, scratch);
                    for (int i = first; i < end; i++) {
                        boolean last = overreads && i == out - 1;
                        MemorySegment source = last ? lastLine : packed;
                        long at = last ? 0 : (long) i * in / 2;
                        int scale = (i - first) * halves;
                        if (rows == 1) {
                            target.set(
                                    i,
                                    dot(source, at, levels, scratch, scale, halves, laid, groups));
                        } else {
                            decode(source, at, levels, scratch, room, groups);
                            for (int row = 0; row < rows; row++) {
                                target.set(
                                        (long) row * out + i,
                                        dot(scratch, room, scale, halves, laid, row, groups));
                            }
                        }
                    }
                });
    }

    /** A copy of the last line of W with room behind it, so that its last load stays inside. */
    private static MemorySegment padded(MemorySegment packed, int in, int out) {
        MemorySegment room = NativeScratch.of(in / 2 + GROUP / 2);
        return room.copyFrom(packed.asSlice((long) (out - 1) * in / 2, in / 2));
    }

    /**
     * Inner product of a line of W with the only row of x. Written out rather than in helpers: a
     * method of more than 325 bytecodes is not inlined into the task, so that the JIT compiles it
     * by itself and keeps the table and the mask of its indices in registers; inlined it loads the
     * mask anew for each of the eight, at two thirds of the speed.
     */
    private static float dot(
            MemorySegment packed,
            long at,
            float[] levels,
            float[] scales,
            int scale,
            int halves,
            float[] x,
            int groups) {
        IntVector table = FloatVector.fromArray(FLOATS, levels, 0).reinterpretAsInts();
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int i = 0; i < groups * GROUP; i += GROUP) {
            IntVector codes = IntVector.fromMemorySegment(INTS, packed, at + (i >> 1), LE);
            FloatVector even =
                    codes.selectFrom(table)
                            .reinterpretAsFloats()
                            .mul(FloatVector.fromArray(FLOATS, x, i));
            FloatVector odd =
                    codes.lanewise(VectorOperators.LSHR, 4)
                            .selectFrom(table)
                            .reinterpretAsFloats()
                            .mul(FloatVector.fromArray(FLOATS, x, i + 16));
            even =
                    codes.lanewise(VectorOperators.LSHR, 8)
                            .selectFrom(table)
                            .reinterpretAsFloats()
                            .fma(FloatVector.fromArray(FLOATS, x, i + 32), even);
            odd =
                    codes.lanewise(VectorOperators.LSHR, 12)
                            .selectFrom(table)
                            .reinterpretAsFloats()
                            .fma(FloatVector.fromArray(FLOATS, x, i + 48), odd);
            even =
                    codes.lanewise(VectorOperators.LSHR, 16)
                            .selectFrom(table)
                            .reinterpretAsFloats()
                            .fma(FloatVector.fromArray(FLOATS, x, i + 64), even);
            odd =
                    codes.lanewise(VectorOperators.LSHR, 20)
                            .selectFrom(table)
                            .reinterpretAsFloats()
                            .fma(FloatVector.fromArray(FLOATS, x, i + 80), odd);
            even =
                    codes.lanewise(VectorOperators.LSHR, 24)
                            .selectFrom(table)
                            .reinterpretAsFloats()
                            .fma(FloatVector.fromArray(FLOATS, x, i + 96), even);
            odd =
                    codes.lanewise(VectorOperators.LSHR, 28)
                            .selectFrom(table)
                            .reinterpretAsFloats()
                            .fma(FloatVector.fromArray(FLOATS, x, i + 112), odd);
            int half = i >> 6;
            int other = scale + Math.min(half + 1, halves - 1); // at the end there may be one
            FloatVector scaleOfHalves =
                    FloatVector.broadcast(FLOATS, scales[scale + half])
                            .blend(FloatVector.broadcast(FLOATS, scales[other]), UPPER);
            sum = even.add(odd).fma(scaleOfHalves, sum);
        }
        return FloatMemory.sum(sum);
    }

    /** Writes the levels of a line of W behind the scales. Written out as the one above. */
    private static void decode(
            MemorySegment packed, long at, float[] levels, float[] out, int from, int groups) {
        IntVector table = FloatVector.fromArray(FLOATS, levels, 0).reinterpretAsInts();
        for (int i = 0; i < groups * GROUP; i += GROUP) {
            IntVector codes = IntVector.fromMemorySegment(INTS, packed, at + (i >> 1), LE);
            codes.selectFrom(table).reinterpretAsFloats().intoArray(out, from + i);
            codes.lanewise(VectorOperators.LSHR, 4)
                    .selectFrom(table)
                    .reinterpretAsFloats()
                    .intoArray(out, from + i + 16);
            codes.lanewise(VectorOperators.LSHR, 8)
                    .selectFrom(table)
                    .reinterpretAsFloats()
                    .intoArray(out, from + i + 32);
            codes.lanewise(VectorOperators.LSHR, 12)
                    .selectFrom(table)
                    .reinterpretAsFloats()
                    .intoArray(out, from + i + 48);
            codes.lanewise(VectorOperators.LSHR, 16)
                    .selectFrom(table)
                    .reinterpretAsFloats()
                    .intoArray(out, from + i + 64);
            codes.lanewise(VectorOperators.LSHR, 20)
                    .selectFrom(table)
                    .reinterpretAsFloats()
                    .intoArray(out, from + i + 80);
            codes.lanewise(VectorOperators.LSHR, 24)
                    .selectFrom(table)
                    .reinterpretAsFloats()
                    .intoArray(out, from + i + 96);
            codes.lanewise(VectorOperators.LSHR, 28)
                    .selectFrom(table)
                    .reinterpretAsFloats()
                    .intoArray(out, from + i + 112);
        }
    }

    /** Inner product of a decoded line of W with one row of x, in the order of the other one. */
    private static float dot(
            float[] scratch, int decoded, int scale, int halves, float[] x, int row, int groups) {
        int start = row * groups * GROUP;
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int i = 0; i < groups * GROUP; i += GROUP) {
            int w = decoded + i;
            int at = start + i;
            FloatVector even =
                    FloatVector.fromArray(FLOATS, scratch, w)
                            .mul(FloatVector.fromArray(FLOATS, x, at));
            FloatVector odd =
                    FloatVector.fromArray(FLOATS, scratch, w + 16)
                            .mul(FloatVector.fromArray(FLOATS, x, at + 16));
            even =
                    FloatVector.fromArray(FLOATS, scratch, w + 32)
                            .fma(FloatVector.fromArray(FLOATS, x, at + 32), even);
            odd =
                    FloatVector.fromArray(FLOATS, scratch, w + 48)
                            .fma(FloatVector.fromArray(FLOATS, x, at + 48), odd);
            even =
                    FloatVector.fromArray(FLOATS, scratch, w + 64)
                            .fma(FloatVector.fromArray(FLOATS, x, at + 64), even);
            odd =
                    FloatVector.fromArray(FLOATS, scratch, w + 80)
                            .fma(FloatVector.fromArray(FLOATS, x, at + 80), odd);
            even =
                    FloatVector.fromArray(FLOATS, scratch, w + 96)
                            .fma(FloatVector.fromArray(FLOATS, x, at + 96), even);
            odd =
                    FloatVector.fromArray(FLOATS, scratch, w + 112)
                            .fma(FloatVector.fromArray(FLOATS, x, at + 112), odd);
            int half = i >> 6;
            int other = scale + Math.min(half + 1, halves - 1); // at the end there may be one
            FloatVector scaleOfHalves =
                    FloatVector.broadcast(FLOATS, scratch[scale + half])
                            .blend(FloatVector.broadcast(FLOATS, scratch[other]), UPPER);
            sum = even.add(odd).fma(scaleOfHalves, sum);
        }
        return FloatMemory.sum(sum);
    }

    /**
     * x in f32 in the order of the weights: byte j holds elements 2j in its high and 2j + 1 in its
     * low half, and lane l bytes 4l to 4l + 3. Where a line ends with half a load, zeros follow x:
     * the weights of the next line, which that load brings too, then count nothing.
     */
    static float[] layOut(FloatMemory x, int rows, int in, int groups) {
        float[] plain = FloatMemory.scratch(in);
        float[] laid = new float[rows * groups * GROUP];
        for (int row = 0; row < rows; row++) {
            x.copyRow((long) row * in, in, plain);
            int start = row * groups * GROUP;
            for (int i = 0; i < in; i += 8) { // the eight of a lane
                int at = start + i / GROUP * GROUP + i % GROUP / 8;
                for (int k = 0; k < 8; k++) {
                    laid[at + k * LANES] = plain[i + (k ^ 1)];
                }
            }
        }
        return laid;
    }
}
