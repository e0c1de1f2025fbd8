package org.qlora4j.tensor;

import org.bytedeco.pytorch.global.torch;

/**
 * While open, memory that libtorch hands out uninitialized holds NaN (the largest value, for
 * integers), so that reading what nobody has written shows.
 */
public final class Poison implements AutoCloseable {
    private Poison() {}

    public static Poison open() {
        Libtorch.load();
        torch.globalContext().setDeterministicAlgorithms(true, true);
        torch.globalContext().setDeterministicFillUninitializedMemory(true);
        return new Poison();
    }

    /**
     * Fills blocks of the sizes that an operation is about to ask for and frees them, so that the
     * allocator hands the garbage out again.
     */
    public static void freedBlocks(double value, long... byteSizes) {
        try (TensorScope scope = TensorScope.open()) {
            for (long bytes : byteSizes) {
                for (int copy = 0; copy < 4; copy++) {
                    Tensors.full(value, DType.F32, Math.max(1, bytes / 4));
                    Tensors.full(value, DType.BF16, Math.max(1, bytes / 4));
                }
            }
        }
    }

    @Override
    public void close() {
        torch.globalContext().setDeterministicAlgorithms(false, false);
        torch.globalContext().setDeterministicFillUninitializedMemory(true); // libtorch's default
    }
}
