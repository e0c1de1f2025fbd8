package org.qlora4j.autograd;

import org.jspecify.annotations.Nullable;
import org.qlora4j.quant.FrozenMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * The one place where weights in few bits are decoded: as large as the largest of them, overwritten
 * by each use.
 */
public final class DequantizationBuffer implements AutoCloseable {
    private @Nullable Tensor memory;

    /** Decodes a weight; the result [out, in] is valid until the next call. */
    Tensor fill(FrozenMatrix matrix, DType compute) {
        long count = matrix.count();
        Tensor buffer = memory;
        if (buffer == null || buffer.dtype() != compute || buffer.count() < count) {
            close();
            buffer = TensorScope.release(Tensors.empty(compute, count));
            memory = buffer;
        }
        Tensor weight = buffer.narrow(0, 0, count).view(matrix.shape());
        matrix.dequantizeInto(weight);
        return weight;
    }

    @Override
    public void close() {
        if (memory != null) {
            memory.close();
            memory = null;
        }
    }
}
