package org.qlora4j.kernel;

import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.Tensor;

/**
 * The absmax of each block, plain or double-quantized (arXiv 2305.14314, section 3).
 *
 * @param absmax F32 [blocks], or U8 [blocks] codes of {@code map}
 * @param nestedAbsmax F32 [ceil(blocks / 256)], the scale of each 256 codes; null if absmax is
 *     plain
 * @param map the 256 values of the 8-bit codes; empty if absmax is plain
 * @param offset added to each decoded absmax
 */
public record BlockScales(Tensor absmax, @Nullable Tensor nestedAbsmax, float[] map, float offset) {
    /** Blocks that share one second-level scale. */
    public static final int NESTED_BLOCK = 256;

    public static BlockScales plain(Tensor absmax) {
        return new BlockScales(absmax, null, new float[0], 0);
    }

    /** Bytes of all parts, the offset included. */
    public long byteSize() {
        return nestedAbsmax == null
                ? absmax.byteSize()
                : absmax.byteSize() + nestedAbsmax.byteSize() + Float.BYTES;
    }
}
