package org.qlora4j.kernel;

import java.util.function.Supplier;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.MetaDevice;

/**
 * Which kernels of a device hold memory beside their arguments and results: for plans of memory.
 * Only the plain ones do, since each libtorch operation makes a tensor.
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

    /**
     * Runs a computation of which only sizes matter: its tensors have no memory and no values
     * ({@link MetaDevice}), and its kernels hold what those described here do. What it would hold
     * is told by {@link org.qlora4j.tensor.NativeMemory} on this thread meanwhile.
     */
    public <T> T onMeta(Supplier<T> computation) {
        return MetaKernels.run(this, computation);
    }

    /** {@link EightBitAdam#step} of so many weights: moments decoded, changed, encoded. */
    public long eightBitAdam(long weights) {
        long padded = EightBitMoments.blocks(weights) * EightBitMoments.BLOCK;
        return rows(padded * (11L * F32 + 2 * F32 + 3 * I32 + 2));
    }

    private long rows(long bytes) {
        return plainRows ? bytes : 0;
    }
}
