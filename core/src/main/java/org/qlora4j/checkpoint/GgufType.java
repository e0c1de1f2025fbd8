package org.qlora4j.checkpoint;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.BlockType;

/**
 * Element types of GGUF: id in the file, elements and bytes of a block (ggml.h, {@code enum
 * ggml_type}).
 */
public enum GgufType {
    F32(0, 1, 4),
    F16(1, 1, 2),
    Q4_0(2, BlockType.Q4_0),
    Q4_1(3, BlockType.Q4_1),
    Q5_0(6, BlockType.Q5_0),
    Q5_1(7, BlockType.Q5_1),
    Q8_0(8, BlockType.Q8_0),
    Q2_K(10, BlockType.Q2_K),
    Q3_K(11, BlockType.Q3_K),
    Q4_K(12, BlockType.Q4_K),
    Q5_K(13, BlockType.Q5_K),
    Q6_K(14, BlockType.Q6_K),
    IQ4_NL(20, BlockType.IQ4_NL),
    IQ4_XS(23, BlockType.IQ4_XS),
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

    /** How the values lie; null for single ones. */
    final @Nullable BlockType blocks;

    GgufType(int id, int blockElements, int blockBytes) {
        this.id = id;
        this.blockElements = blockElements;
        this.blockBytes = blockBytes;
        this.blocks = null;
    }

    GgufType(int id, BlockType blocks) {
        this.id = id;
        this.blockElements = blocks.elements();
        this.blockBytes = blocks.bytes();
        this.blocks = blocks;
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
