package org.qlora4j.kernel;

import java.util.List;

/**
 * Ggml's quantized types (ggml-common.h): values lie in blocks, each with its own scales. A row of
 * a weight is whole blocks.
 */
public enum BlockType {
    Q4_0(32, 18, 0),
    Q4_1(32, 20, 0, 2),
    Q5_0(32, 22, 0),
    Q5_1(32, 24, 0, 2),
    Q8_0(32, 34, 0),
    Q2_K(256, 84, 80, 82),
    Q3_K(256, 110, 108),
    Q4_K(256, 144, 0, 2),
    Q5_K(256, 176, 0, 2),
    Q6_K(256, 210, 208),
    IQ4_NL(32, 18, 0),
    IQ4_XS(256, 136, 0);

    /** The types that {@link BlockWeights} computes with. */
    public static final List<BlockType> KEPT =
            List.of(Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K);

    private final int elements;
    private final int bytes;
    private final int[] halves;

    BlockType(int elements, int bytes, int... halves) {
        this.elements = elements;
        this.bytes = bytes;
        this.halves = halves;
    }

    /** Values of a block. */
    public int elements() {
        return elements;
    }

    /** Bytes of a block. */
    public int bytes() {
        return bytes;
    }

    /** Bytes of so many values, which are whole blocks. */
    public long bytes(long values) {
        return values / elements * bytes;
    }

    /** Whether weights may stay in this type while a model computes. */
    public boolean isKept() {
        return KEPT.contains(this);
    }

    /** Whether the scales of a block, which are fp16, are finite. */
    public boolean isFinite(byte[] in, int block) {
        for (int half : halves) {
            if (!Float.isFinite(BlockDecoder.f16(in, block * bytes + half))) {
                return false;
            }
        }
        return true;
    }
}
