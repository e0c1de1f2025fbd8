package org.qlora4j.quant;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/** A weight [out, in] in few bits, which never learns. It owns its memory until {@link #close}. */
public sealed interface FrozenMatrix extends AutoCloseable
        permits QuantizedMatrix, Int8Matrix, BlockMatrix {
    /** [out, in], a copy. */
    long[] shape();

    /** Number of weights. */
    default long count() {
        long n = 1;
        for (long size : shape()) {
            n *= size;
        }
        return n;
    }

    /** Writes the weight into a contiguous tensor of its shape, F32, BF16 or F64. */
    void dequantizeInto(Tensor out);

    /** The weight as a new tensor [out, in]. */
    default Tensor dequantize(DType to) {
        Tensor out = Tensors.empty(to, shape());
        dequantizeInto(out);
        return out;
    }

    /**
     * Whether there is a kernel that multiplies so few rows without decoding the weight to memory,
     * and is faster so.
     *
     * @param dtype of the rows
     */
    boolean multipliesFewRows(DType dtype, long rows);

    /**
     * {@code y = x · Wᵀ} without decoding the weight to memory, where {@link #multipliesFewRows}.
     *
     * @param x [..., in], contiguous
     * @param y written: [..., out], contiguous, of the type of x
     */
    void multiplyInto(Tensor x, Tensor y);

    /** Bytes of codes and scales. */
    long byteSize();

    @Override
    void close();
}
