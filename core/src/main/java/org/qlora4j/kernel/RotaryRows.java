package org.qlora4j.kernel;

import org.qlora4j.tensor.Tensor;

/**
 * Rotation of the halves of heads by angles, in f32 (f64 for F64): rotary position embedding in the
 * half layout.
 */
public sealed interface RotaryRows permits MetaKernels, ReferenceRotaryRows, VectorRotaryRows {
    /**
     * {@code out = [x1·cos - x2·sin | x2·cos + x1·sin | rest]} for a head x = [x1 | x2 | rest].
     *
     * @param x [batch, time, heads, headDim] or [batch, time, heads * headDim], contiguous
     * @param cos F32 [1 or batch, time, 1, half], contiguous; x1 and x2 have {@code half} values,
     *     the rest, if any, is copied
     * @param sin likewise
     * @param direction 1, or -1 to rotate back
     * @param out written: [batch, time, heads, headDim], contiguous, of the type of x
     */
    void rotate(Tensor x, Tensor cos, Tensor sin, int direction, Tensor out);
}
