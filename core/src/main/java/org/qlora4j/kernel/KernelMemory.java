package org.qlora4j.kernel;

import org.qlora4j.tensor.DType;

/**
 * Bytes that kernels hold beside their arguments and results while they run: for plans of memory.
 * Only the plain kernels hold any, since each libtorch operation makes a tensor. Who changes the
 * operations of one changes it here, and KernelMemoryTest tells.
 *
 * @param plainRows whether row kernels and the 8-bit AdamW are the plain ones
 * @param plainDecoding whether 4-bit weights are decoded by the plain kernel
 * @param tiles whether attention in f32 is done in tiles, without tensors of its own
 */
public record KernelMemory(boolean plainRows, boolean plainDecoding, boolean tiles) {
    /** On a GPU, rows are libtorch's and decoding has a kernel. */
    public static final KernelMemory GPU = new KernelMemory(true, false, false);

    private static final int F32 = Float.BYTES;
    private static final int I32 = Integer.BYTES;

    /** The memory of one set. */
    public static KernelMemory of(Kernels kernels) {
        return new KernelMemory(
                kernels.norm() instanceof ReferenceNormRows,
                kernels.fourBit() instanceof ReferenceFourBit,
                kernels.tiledAttention().takes(DType.F32));
    }

    /** {@link FourBit#dequantize} of n values: integers of the halves, levels, scales, product. */
    public long decoding(long n, int blockSize) {
        long scales = 5L * F32 * Math.ceilDiv(n, blockSize);
        return plainDecoding ? 5 * n / 2 * F32 + 3 * n * F32 + scales : 0;
    }

    /**
     * {@link AttentionSoftmax#forward} of so many scores.
     *
     * @param width bytes of a score, as in the methods below
     */
    public long softmax(long scores, int width) {
        return rows(scores * (widened(width) + 2 * F32));
    }

    /** {@link AttentionSoftmax#backward}. */
    public long softmaxBackward(long scores, int width) {
        return rows(scores * (2 * widened(width) + 2 * F32));
    }

    /** {@link CrossEntropyRows#lossAndGradient}: with narrow values the product again in f32. */
    public long loss(long rows, long hidden, long vocabulary, int width) {
        long wide = width == F32 ? 0 : (rows * hidden + vocabulary * hidden + rows * vocabulary);
        return rows((wide + rows * vocabulary) * F32);
    }

    /** {@link NormRows#forward} of so many values. */
    public long norm(long values, int width) {
        long rounded = width == F32 ? 0 : width;
        return rows(values * (widened(width) + 2 * F32 + rounded + width));
    }

    /** {@link NormRows#backward}. */
    public long normBackward(long values, int width) {
        return rows(values * (2 * widened(width) + 3 * F32));
    }

    /** {@link RotaryRows#rotate} of so many values. */
    public long rotary(long values, int width) {
        return rows(values * (widened(width) + F32));
    }

    /** {@link ElementRows#add} and {@link ElementRows#gate} of so many values. */
    public long elements(long values, int width) {
        return rows(values * width);
    }

    /** {@link EightBitAdam#step} of so many weights: moments decoded, changed, encoded. */
    public long eightBitAdam(long weights) {
        long padded = EightBitMoments.blocks(weights) * EightBitMoments.BLOCK;
        return rows(padded * (11L * F32 + 2 * F32 + 3 * I32 + 2));
    }

    private long rows(long bytes) {
        return plainRows ? bytes : 0;
    }

    /** Bytes of the copy of a value in f32. */
    private static int widened(int width) {
        return width == F32 ? 0 : F32;
    }
}
