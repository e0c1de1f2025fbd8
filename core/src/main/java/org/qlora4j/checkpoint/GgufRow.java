package org.qlora4j.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Decodes rows of a GGUF tensor. Floats stay as they are. Blocks of integers become bf16, whose
 * error is small beside theirs: values are computed in f32, multiplication and addition each
 * rounded (as the {@code gguf} package of Python does, without a fused multiply-add), then rounded
 * to nearest even.
 */
final class GgufRow {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private GgufRow() {}

    /** Type of the decoded elements. */
    static StoredType decodedType(GgufType type) {
        return switch (type) {
            case F32 -> StoredType.F32;
            case F16 -> StoredType.F16;
            case BF16, Q4_1, Q8_0 -> StoredType.BF16;
            case Q4_0, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, I8, I16, I32, I64, F64 ->
                    throw new IllegalArgumentException(type + " is not decoded");
        };
    }

    /**
     * Decodes one row.
     *
     * @param source the row's bytes
     * @param row receives the elements, in their {@link #decodedType}
     */
    static void decode(GgufType type, MemorySegment source, MemorySegment row) {
        switch (type) {
            case F32, F16, BF16 -> row.copyFrom(source.asSlice(0, row.byteSize()));
            case Q4_1 -> decodeQ4_1(source, row);
            case Q8_0 -> decodeQ8_0(source, row);
            case Q4_0, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, I8, I16, I32, I64, F64 ->
                    throw new IllegalArgumentException(type + " is not decoded");
        }
    }

    /**
     * Blocks of 32: scale d and minimum m in fp16, then 16 bytes; low nibbles are elements 0-15,
     * high ones 16-31.
     */
    private static void decodeQ4_1(MemorySegment source, MemorySegment row) {
        long at = 0;
        for (long i = 0; i < row.byteSize(); i += 32 * Short.BYTES, at += 20) {
            float scale = Float.float16ToFloat(source.get(SHORT, at));
            float minimum = Float.float16ToFloat(source.get(SHORT, at + 2));
            for (int j = 0; j < 16; j++) {
                int codes = source.get(ValueLayout.JAVA_BYTE, at + 4 + j);
                row.set(SHORT, i + 2L * j, bf16(scale * (codes & 15) + minimum));
                row.set(SHORT, i + 2L * (j + 16), bf16(scale * ((codes >> 4) & 15) + minimum));
            }
        }
    }

    /** Blocks of 32: scale d in fp16, then 32 signed bytes. */
    private static void decodeQ8_0(MemorySegment source, MemorySegment row) {
        long at = 0;
        for (long i = 0; i < row.byteSize(); i += 32 * Short.BYTES, at += 34) {
            float scale = Float.float16ToFloat(source.get(SHORT, at));
            for (int j = 0; j < 32; j++) {
                float value = scale * source.get(ValueLayout.JAVA_BYTE, at + 2 + j);
                row.set(SHORT, i + 2L * j, bf16(value));
            }
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
