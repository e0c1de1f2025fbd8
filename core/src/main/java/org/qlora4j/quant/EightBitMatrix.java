package org.qlora4j.quant;

import org.qlora4j.kernel.EightBitProduct;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * A frozen weight in 8 bits for generation: blocks of 32 along a line, each with the scale {@code
 * absmax / 127} in f32, so 9 bits a weight. It owns its tensors; {@link #close} frees them.
 */
public final class EightBitMatrix implements AutoCloseable {
    /** Weights made at once, which bounds the memory of their f32 copies. */
    private static final long PIECE = 8L << 20;

    /** Added and taken away again it rounds a small float to the nearest integer, ties to even. */
    private static final double ROUNDING = 12582912;

    private final Tensor codes; // I8 [out, in]
    private final Tensor scales; // F32 [out, in / 32]

    private EightBitMatrix(Tensor codes, Tensor scales) {
        this.codes = TensorScope.release(codes);
        this.scales = TensorScope.release(scales);
    }

    /** Whether a weight with so many input features can be held so. */
    public static boolean fits(long in) {
        return in % EightBitProduct.BLOCK == 0;
    }

    /**
     * Quantizes a weight.
     *
     * @param weight [out, in], contiguous, of any float type
     */
    public static EightBitMatrix quantize(Tensor weight) {
        try (TensorScope scope = TensorScope.open()) {
            long out = weight.size(0);
            long in = weight.size(1);
            long blocks = in / EightBitProduct.BLOCK;
            Tensor codes = Tensors.empty(DType.I8, out, in);
            Tensor scales = Tensors.empty(DType.F32, out, blocks);
            long lines = Math.max(1, PIECE / in);
            for (long from = 0; from < out; from += lines) {
                try (TensorScope piece = TensorScope.open()) {
                    long count = Math.min(lines, out - from);
                    Tensor values =
                            weight.narrow(0, from, count)
                                    .to(DType.F32)
                                    .view(count, blocks, EightBitProduct.BLOCK);
                    Tensor scale = values.abs().amax(2, true).mulInPlace(1 / 127.0);
                    scales.narrow(0, from, count).copyFrom(scale.view(count, blocks));
                    scale.maskedFillInPlace(scale.equalTo(0), 1);
                    Tensor rounded =
                            values.times(scale.reciprocal())
                                    .addInPlace(ROUNDING)
                                    .addInPlace(-ROUNDING);
                    codes.narrow(0, from, count).copyFrom(rounded.view(count, in));
                }
            }
            return new EightBitMatrix(codes, scales);
        }
    }

    /** Whether there is a kernel that multiplies so few rows faster than libtorch in 16 bits. */
    public static boolean multipliesFewRows(DType dtype, long rows) {
        return Kernels.current().eightBitProduct().takes(dtype, rows);
    }

    /**
     * {@code x · Wᵀ}.
     *
     * @param x [rows, in], contiguous
     * @return F32 [rows, out], in the innermost scope
     */
    public Tensor times(Tensor x) {
        return times(x, codes, scales);
    }

    /** {@code x · Wᵀ} of codes I8 [out, in] and scales F32 [out, in / 32]. */
    static Tensor times(Tensor x, Tensor codes, Tensor scales) {
        Tensor y = Tensors.empty(DType.F32, x.size(0), codes.size(0));
        Kernels.current().eightBitProduct().multiply(x, codes, scales, y);
        return y;
    }

    /** Bytes of codes and scales. */
    public long byteSize() {
        return codes.byteSize() + scales.byteSize();
    }

    @Override
    public void close() {
        codes.close();
        scales.close();
    }
}
