package org.qlora4j.quant;

import org.qlora4j.tensor.Tensor;

/** A weight [out, in] in few bits, which never learns. It owns its memory until {@link #close}. */
public sealed interface FrozenMatrix extends AutoCloseable permits QuantizedMatrix, Int8Matrix {
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

    /** Bytes of codes and scales. */
    long byteSize();

    @Override
    void close();
}
