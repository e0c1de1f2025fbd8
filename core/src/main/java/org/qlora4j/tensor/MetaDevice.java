package org.qlora4j.tensor;

import java.util.function.Supplier;

/**
 * Computes without memory: tensors made by the calling thread lie on {@link Device#META}. They have
 * a type and sizes, and every value that is asked for is 1. {@link NativeMemory} then tells what
 * the computation would hold. Tensors of the process must not take part.
 */
public final class MetaDevice {
    private MetaDevice() {}

    /** Runs a computation so; not within another one. */
    public static <T> T run(Supplier<T> computation) {
        if (NativeMemory.onMeta()) {
            throw new IllegalStateException("this thread computes without memory already");
        }
        NativeMemory.countOnMeta(true);
        try (TensorScope scope = TensorScope.open()) {
            return computation.get();
        } finally {
            NativeMemory.countOnMeta(false);
        }
    }
}
