package org.qlora4j.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Decodes rows of a GGUF tensor to bf16. Values are computed in float32, multiplication and
 * addition each rounded (as the {@code gguf} package of Python does, without a fused multiply-add),
 * then rounded to nearest even.
 */
final class GgufRow {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private GgufRow() {}

    /**
     * Decodes one row.
     *
     * @param source the row's bytes
     * @param row receives the bits of each element
     */
    static void decode(GgufType type, MemorySegment source, short[] row) {
        switch (type) {
            case F32 -> {
                for (int i = 0; i < row.length; i++) {
                    row[i] = bf16(source.get(FLOAT, 4L * i));
                }
            }
            case F16 -> {
                for (int i = 0; i < row.length; i++) {
                    row[i] = bf16(Float.float16ToFloat(source.get(SHORT, 2L * i)));
                }
            }
            case BF16 -> {
                for (int i = 0; i < row.length; i++) {
                    row[i] = source.get(SHORT, 2L * i);
                }
            }
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
    private static void decodeQ4_1(MemorySegment source, short[] row) {
        long at = 0;
        for (int i = 0; i < row.length; i += 32, at += 20) {
            float scale = Float.float16ToFloat(source.get(SHORT, at));
            float minimum = Float.float16ToFloat(source.get(SHORT, at + 2));
            for (int j = 0; j < 16; j++) {
                int codes = source.get(ValueLayout.JAVA_BYTE, at + 4 + j);
                row[i + j] = bf16(scale * (codes & 15) + minimum);
                row[i + j + 16] = bf16(scale * ((codes >> 4) & 15) + minimum);
            }
        }
    }

    /** Blocks of 32: scale d in fp16, then 32 signed bytes. */
    private static void decodeQ8_0(MemorySegment source, short[] row) {
        long at = 0;
        for (int i = 0; i < row.length; i += 32, at += 34) {
            float scale = Float.float16ToFloat(source.get(SHORT, at));
            for (int j = 0; j < 32; j++) {
                row[i + j] = bf16(scale * source.get(ValueLayout.JAVA_BYTE, at + 2 + j));
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
