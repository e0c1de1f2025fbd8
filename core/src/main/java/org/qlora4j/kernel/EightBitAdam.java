package org.qlora4j.kernel;

import org.qlora4j.tensor.Tensor;

/**
 * One step of AdamW whose moments are held in 8 bits, as bitsandbytes' CUDA kernel computes it
 * ({@code kOptimizerStatic8bit2StateBlockwise}): moments are decoded, changed, used as they are for
 * the weight, and rounded to the nearest table entry again. A tie takes the lower entry. A negative
 * mean never becomes the code of 0, so that no state changes its sign.
 *
 * <p>All arithmetic is f32, rounded after every operation. Weight decay comes before the step, as
 * in torch and in bitsandbytes' CPU code.
 */
public sealed interface EightBitAdam
        permits MetaKernels, ReferenceEightBitAdam, VectorEightBitAdam {
    /**
     * @param weights F32 [n], contiguous; changed
     * @param gradients F32 [n], contiguous, finite
     * @param moments of the same n elements; changed
     */
    void step(Tensor weights, Tensor gradients, EightBitMoments moments, AdamStep step);
}
