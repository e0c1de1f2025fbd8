package org.qlora4j.kernel;

import org.qlora4j.tensor.Tensor;

/**
 * Blocks of values to packed 4-bit codes and back. Byte for byte the CPU code of bitsandbytes 0.50
 * (its {@code quantize_4bit} and {@code dequantize_4bit}).
 *
 * <p>Values are taken in row-major order in blocks that ignore row limits; the last block may be
 * short. A code is that of {@code value * (1 / max(absmax, 1e-38))} in f32. Byte j holds element 2j
 * in its high and element 2j+1 in its low half; the low half after an odd last element is the code
 * of 0. The absmax of a block of zeros is 0, but 1e-38 for a short last block. NaN and infinite
 * values give an absmax that is not finite: the caller must look for it.
 */
public sealed interface FourBit
        permits MetaKernels,
                ReferenceFourBit,
                VectorFourBit,
                PairFourBit,
                Avx2FourBit,
                CudaFourBit {
    /** Smallest divisor, and the absmax of a short last block of zeros. */
    float TINY = 1e-38f;

    /**
     * @param values contiguous, n elements of any float type
     * @param blockSize elements that share an absmax
     * @param codes written: U8 [ceil(n / 2)]
     * @param absmax written: F32 [ceil(n / blockSize)]
     */
    void quantize(Tensor values, CodeTable table, int blockSize, Tensor codes, Tensor absmax);

    /**
     * {@code out[i] = level[code i] * absmax[i / blockSize]}, multiplied in f32 and rounded once to
     * the type of {@code out}.
     *
     * @param codes U8 [ceil(n / 2)]
     * @param out written: contiguous, n elements, F32 or BF16 (or F16, but for vectors)
     */
    void dequantize(Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor out);
}
