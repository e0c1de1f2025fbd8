package org.qlora4j.checkpoint;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Element types of GGUF: id in the file, elements and bytes of a block (ggml.h, {@code enum
 * ggml_type}).
 */
public enum GgufType {
    F32(0, 1, 4),
    F16(1, 1, 2),
    Q4_0(2, 32, 18),
    Q4_1(3, 32, 20),
    Q5_0(6, 32, 22),
    Q5_1(7, 32, 24),
    Q8_0(8, 32, 34),
    Q2_K(10, 256, 84),
    Q3_K(11, 256, 110),
    Q4_K(12, 256, 144),
    Q5_K(13, 256, 176),
    Q6_K(14, 256, 210),
    IQ4_NL(20, 32, 18),
    IQ4_XS(23, 256, 136),
    I8(24, 1, 1),
    I16(25, 1, 2),
    I32(26, 1, 4),
    I64(27, 1, 8),
    F64(28, 1, 8),
    BF16(30, 1, 2);

    /** The types that {@link GgufRow} decodes, for messages. */
    static final String DECODED =
            "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL and IQ4_XS";

    final int id;
    final int blockElements;
    final int blockBytes;

    GgufType(int id, int blockElements, int blockBytes) {
        this.id = id;
        this.blockElements = blockElements;
        this.blockBytes = blockBytes;
    }

    /** The type of this id, or null if it is not known here. */
    static @Nullable GgufType of(int id) {
        return Arrays.stream(values()).filter(type -> type.id == id).findFirst().orElse(null);
    }

    /** Whether {@link GgufRow} decodes it. */
    boolean isDecoded() {
        return switch (this) {
            case I8, I16, I32, I64, F64 -> false;
            default -> true;
        };
    }
}
