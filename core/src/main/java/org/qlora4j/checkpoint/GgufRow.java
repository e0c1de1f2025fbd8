package org.qlora4j.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.qlora4j.kernel.BlockDecoder;
import org.qlora4j.kernel.BlockType;

/**
 * Decodes rows of a GGUF tensor. Floats stay as they are, blocks become the f32 that they stand for
 * ({@link BlockDecoder}); of Q4_1 and Q8_0 the nearest bf16, whose error is small beside theirs.
 */
final class GgufRow {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private GgufRow() {}

    /** Type of the decoded elements. */
    static StoredType decodedType(GgufType type) {
        return switch (type) {
            case F16 -> StoredType.F16;
            case BF16, Q4_1, Q8_0 -> StoredType.BF16;
            default -> StoredType.F32;
        };
    }

    /**
     * Decodes one row.
     *
     * @param source the row's bytes
     * @param row receives the elements, in their {@link #decodedType}
     */
    static void decode(GgufType type, MemorySegment source, MemorySegment row) {
        BlockType blocks = type.blocks;
        if (blocks == null) {
            row.copyFrom(source.asSlice(0, row.byteSize()));
            return;
        }
        boolean narrow = decodedType(type) == StoredType.BF16;
        float[] values = new float[(int) (row.byteSize() / (narrow ? 2 : 4))];
        BlockDecoder.decode(blocks, source.toArray(ValueLayout.JAVA_BYTE), values.length, values);
        if (narrow) {
            for (int i = 0; i < values.length; i++) {
                row.set(SHORT, 2L * i, bf16(values[i]));
            }
        } else {
            MemorySegment.copy(values, 0, row, FLOAT, 0, values.length);
        }
    }

    /** Bits of the nearest bf16, ties to even; NaN stays NaN. */
    static short bf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) ((bits >>> 16) | 0x40); // rounding could carry a NaN over into zero
        }
        return (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
    }
}
