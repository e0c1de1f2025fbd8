package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link FourBitProduct} with the Vector API. The 16 levels sit in one register, so that decoding
 * 16 codes is one permute; x is laid out beforehand with the elements of even and odd place apart,
 * as the high and low halves of the bytes are.
 */
record VectorFourBitProduct(Workers workers) implements FourBitProduct {
    private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_512;
    private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_512;
    private static final VectorSpecies<Byte> BYTES = ByteVector.SPECIES_128;
    private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;

    /** Weights a register pair decodes at once. */
    private static final int GROUP = 32;

    /** Weights of one task, about 5 us of work. */
    private static final int TASK = 1 << 16;

    @Override
    public boolean takes(Tensor x, long in, int blockSize) {
        return x.size(0) <= MOST_ROWS && in % blockSize == 0 && FloatRows.reads(x.dtype());
    }

    @Override
    public void multiply(
            Tensor x, Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor y) {
        int rows = Math.toIntExact(x.size(0));
        int in = Math.toIntExact(x.size(1));
        int out = Math.toIntExact(y.size(1));
        float[] apart = apart(x, rows, in);
        FloatRows target = FloatRows.of(y);
        MemorySegment packed = codes.segment();
        Absmax absmax = Absmax.of(scales);
        int linesOfTask = Math.max(1, TASK / in);
        workers.run(
                (out + linesOfTask - 1) / linesOfTask,
                task -> {
                    FloatVector levels = FloatVector.fromArray(FLOATS, table.levels(), 0);
                    float[] decoded = new float[in / blockSize];
                    int end = Math.min(out, (task + 1) * linesOfTask);
                    for (int line = task * linesOfTask; line < end; line++) {
                        absmax.decode((long) line * decoded.length, decoded);
                        long start = (long) line * in / 2;
                        for (int row = 0; row < rows; row++) {
                            float dot =
                                    dot(packed, start, levels, decoded, blockSize, apart, row * in);
                            target.set((long) row * out + line, dot);
                        }
                    }
                });
    }

    /** Inner product of one row of W with one row of x. */
    private static float dot(
            MemorySegment packed,
            long start,
            FloatVector levels,
            float[] absmax,
            int blockSize,
            float[] x,
            int from) {
        FloatVector sum = FloatVector.zero(FLOATS);
        int bytesOfBlock = blockSize / 2;
        for (int block = 0; block < absmax.length; block++) {
            FloatVector even = FloatVector.zero(FLOATS);
            FloatVector odd = FloatVector.zero(FLOATS);
            long at = start + (long) block * bytesOfBlock;
            int xAt = from + block * blockSize;
            for (int i = 0; i < blockSize; i += GROUP) {
                IntVector pairs = pairs(packed, at + i / 2);
                FloatVector first =
                        pairs.lanewise(VectorOperators.LSHR, 4)
                                .selectFrom(levels.reinterpretAsInts())
                                .reinterpretAsFloats();
                FloatVector second =
                        pairs.and(15).selectFrom(levels.reinterpretAsInts()).reinterpretAsFloats();
                even = first.fma(FloatVector.fromArray(FLOATS, x, xAt + i), even);
                odd = second.fma(FloatVector.fromArray(FLOATS, x, xAt + i + GROUP / 2), odd);
            }
            sum = even.add(odd).fma(FloatVector.broadcast(FLOATS, absmax[block]), sum);
        }
        return FloatRows.sum(sum);
    }

    /** 16 bytes, each in an int lane. */
    private static IntVector pairs(MemorySegment packed, long at) {
        return (IntVector)
                ByteVector.fromMemorySegment(BYTES, packed, at, LE)
                        .convertShape(VectorOperators.ZERO_EXTEND_B2I, INTS, 0);
    }

    /** x in f32, each group of 32 as its elements of even place, then those of odd place. */
    private static float[] apart(Tensor x, int rows, int in) {
        FloatRows source = new FloatRows(x.segment(), x.dtype() == DType.BF16);
        float[] apart = new float[rows * in];
        for (int i = 0; i < apart.length; i += GROUP) {
            for (int j = 0; j < GROUP / 2; j++) {
                apart[i + j] = source.get(i + 2L * j);
                apart[i + GROUP / 2 + j] = source.get(i + 2L * j + 1);
            }
        }
        return apart;
    }

    /** Decodes the absmax of a run of blocks. */
    private record Absmax(
            MemorySegment codes, @Nullable MemorySegment nested, float[] map, float offset) {
        static Absmax of(BlockScales scales) {
            Tensor nested = scales.nestedAbsmax();
            return new Absmax(
                    scales.absmax().segment(),
                    nested == null ? null : nested.segment(),
                    scales.map(),
                    scales.offset());
        }

        void decode(long first, float[] out) {
            if (nested == null) {
                MemorySegment.copy(codes, FLOAT, first * Float.BYTES, out, 0, out.length);
                return;
            }
            for (int i = 0; i < out.length; i++) {
                long block = first + i;
                float scale = nested.getAtIndex(FLOAT, block / BlockScales.NESTED_BLOCK);
                out[i] = map[codes.get(BYTE, block) & 0xFF] * scale + offset;
            }
        }
    }
}
