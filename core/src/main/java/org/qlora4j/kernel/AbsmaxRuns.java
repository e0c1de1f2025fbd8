package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.Tensor;

/**
 * Decodes the absmax of runs of neighbouring parts of blocks.
 *
 * @param codes absmax of blocks, or codes of them
 * @param nested scales of the codes; null if there are none
 * @param partsOfBlock parts that a block is made of, each with its absmax
 */
record AbsmaxRuns(
        MemorySegment codes,
        @Nullable MemorySegment nested,
        float[] map,
        float offset,
        int partsOfBlock) {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;

    static AbsmaxRuns of(BlockScales scales, int partsOfBlock) {
        Tensor nested = scales.nestedAbsmax();
        return new AbsmaxRuns(
                scales.absmax().segment(),
                nested == null ? null : nested.segment(),
                scales.map(),
                scales.offset(),
                partsOfBlock);
    }

    /**
     * Writes the absmax of parts {@code first} to {@code first + count - 1}, which begin and end
     * with blocks.
     */
    void decode(long first, int count, float[] out) {
        int blocks = count / partsOfBlock;
        long block = first / partsOfBlock;
        if (nested == null) {
            MemorySegment.copy(codes, FLOAT, block * Float.BYTES, out, 0, blocks);
        }
        for (int i = 0; nested != null && i < blocks; ) {
            long group = (block + i) / BlockScales.NESTED_BLOCK;
            long endOfGroup = (group + 1) * BlockScales.NESTED_BLOCK - block;
            int end = (int) Math.min(blocks, endOfGroup);
            decode(block, i, end, nested.getAtIndex(FLOAT, group), out);
            i = end;
        }
        if (partsOfBlock > 1) {
            for (int i = count - 1; i >= 0; i--) {
                out[i] = out[i / partsOfBlock];
            }
        }
    }

    /** Looked up eight codes a load; the multiplication by itself, as vectors. */
    private void decode(long block, int from, int to, float scale, float[] out) {
        float[] table = map;
        int i = from;
        for (; i <= to - Long.BYTES; i += Long.BYTES) {
            long eight = codes.get(LONG, block + i);
            out[i] = table[(int) eight & 0xFF];
            out[i + 1] = table[(int) (eight >>> 8) & 0xFF];
            out[i + 2] = table[(int) (eight >>> 16) & 0xFF];
            out[i + 3] = table[(int) (eight >>> 24) & 0xFF];
            out[i + 4] = table[(int) (eight >>> 32) & 0xFF];
            out[i + 5] = table[(int) (eight >>> 40) & 0xFF];
            out[i + 6] = table[(int) (eight >>> 48) & 0xFF];
            out[i + 7] = table[(int) (eight >>> 56)];
        }
        for (; i < to; i++) {
            out[i] = table[codes.get(BYTE, block + i) & 0xFF];
        }
        for (i = from; i < to; i++) {
            out[i] = out[i] * scale + offset;
        }
    }
}
