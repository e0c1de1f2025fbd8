package org.qlora4j.checkpoint;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * One weight as bitsandbytes stores it in 4 bits (arXiv 2305.14314, section 3; {@link Bnb4bit}). n
 * is the product of the shape, B = ceil(n / blockSize). Segments are valid as long as the
 * checkpoint they were read from.
 *
 * @param name key of the weight, e.g. {@code model.layers.0.self_attn.q_proj.weight}
 * @param quantType {@code nf4} or {@code fp4}
 * @param blockSize weights that share one absmax: a power of two from 32 to 4096
 * @param dtype type before quantization: {@code float32}, {@code float16} or {@code bfloat16}
 * @param shape dimensions of the weight, [out, in]. Not to be written to
 * @param codes ceil(n / 2) bytes; the earlier element of a pair is in the high nibble
 * @param absmax B scales: float32, or 8-bit codes if they are quantized themselves
 * @param nested how the scales are quantized, or null
 * @param quantMap 16 levels by code. Not to be written to
 */
@SuppressWarnings(
        "ArrayRecordComponent") // never compared, and a copy per access would serve nobody
public record StoredQuantized(
        String name,
        String quantType,
        int blockSize,
        String dtype,
        long[] shape,
        MemorySegment codes,
        MemorySegment absmax,
        @Nullable Nested nested,
        float[] quantMap) {
    /**
     * Double quantization: scale i is {@code map[code i] * absmax[i / blockSize] + offset}.
     *
     * @param absmax ceil(B / blockSize) float32
     * @param offset mean of the scales
     * @param map 256 values by code, ascending. Not to be written to
     * @param blockSize scales that share one second-level scale: 256
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    public record Nested(MemorySegment absmax, float offset, float[] map, int blockSize) {}

    /** Type of {@link #absmax}: {@code F32}, or {@code U8} if nested. */
    public StoredType absmaxType() {
        return nested == null ? StoredType.F32 : StoredType.U8;
    }
}
