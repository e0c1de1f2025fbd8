package org.qlora4j.quant;

import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.EightBitProduct;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * A frozen weight in 8 bits by rows: LLM.int8() (arXiv 2208.07339). Weight j of a row is {@code
 * codes[j] * scale / 127}, and the rows it multiplies are rounded to 8 bits too, but for columns
 * with outliers.
 */
public final class Int8Matrix implements FrozenMatrix {
    /** Weights made at once, which bounds the memory of their f32 copies. */
    private static final long PIECE = 8L << 20;

    /** Added and taken away again it rounds a small float to the nearest integer, ties to even. */
    private static final double ROUNDING = 12582912;

    private final Tensor codes; // I8 [out, in]
    private final Tensor scales; // F32 [out]
    private final double threshold;
    private @Nullable Tensor blockScales; // F32 [out, in / 32], for products of few rows

    /**
     * @param codes I8 [out, in]; released from its scope, owned from now on
     * @param scales F32 [out], likewise owned: the largest magnitude of each row
     * @param threshold magnitude from which an activation is an outlier; 0 for none
     */
    public Int8Matrix(Tensor codes, Tensor scales, double threshold) {
        this.codes = TensorScope.release(codes);
        this.scales = TensorScope.release(scales);
        this.threshold = threshold;
    }

    /**
     * Quantizes a weight, byte for byte as bitsandbytes: through f16.
     *
     * @param weight [out, in], contiguous, of any float type
     * @throws ArithmeticException if a value is NaN or too large for f16
     */
    public static Int8Matrix quantize(Tensor weight, double threshold) {
        try (TensorScope scope = TensorScope.open()) {
            long out = weight.size(0);
            long in = weight.size(1);
            Tensor codes = Tensors.empty(DType.I8, out, in);
            Tensor scales = Tensors.empty(DType.F32, out);
            long lines = Math.max(1, PIECE / in);
            for (long from = 0; from < out; from += lines) {
                try (TensorScope piece = TensorScope.open()) {
                    long count = Math.min(lines, out - from);
                    Tensor values =
                            weight.narrow(0, from, count).to(DType.F16).to(DType.F32).copy();
                    Tensor largest = values.abs().amax(1, true);
                    if (!largest.allFinite()) {
                        throw new ArithmeticException(
                                "the weight holds a value that is NaN, infinite or too large for f16");
                    }
                    scales.narrow(0, from, count).copyFrom(largest.view(count));
                    largest.maskedFillInPlace(largest.equalTo(0), 127);
                    values.mulInPlace(largest.reciprocal().mulInPlace(127.0));
                    values.addInPlace(ROUNDING).addInPlace(-ROUNDING);
                    codes.narrow(0, from, count).copyFrom(values);
                }
            }
            return new Int8Matrix(codes, scales, threshold);
        }
    }

    /** Room for a weight [out, in], with undefined content. */
    public static Int8Matrix empty(long[] shape, double threshold) {
        try (TensorScope scope = TensorScope.open()) {
            return new Int8Matrix(
                    Tensors.empty(DType.I8, shape), Tensors.empty(DType.F32, shape[0]), threshold);
        }
    }

    @Override
    public long[] shape() {
        return codes.shape();
    }

    /** I8 [out, in]; still owned by this matrix. */
    public Tensor codes() {
        return codes;
    }

    /** F32 [out]; still owned by this matrix. */
    public Tensor scales() {
        return scales;
    }

    /** Magnitude from which an activation is an outlier; 0 for none. */
    public double threshold() {
        return threshold;
    }

    @Override
    public void dequantizeInto(Tensor out) {
        Kernels.current().rowInt8().decode(codes, scales, out);
    }

    /**
     * What the weight multiplies in place of x.
     *
     * @param x [rows, in], contiguous
     * @return of the same shape and type, in the innermost scope
     */
    public Tensor round(Tensor x) {
        Tensor rounded = Tensors.empty(x.dtype(), x.shape());
        Kernels.current().rowInt8().round(x, threshold, rounded);
        return rounded;
    }

    @Override
    public boolean multipliesFewRows(DType dtype, long rows) {
        return EightBitMatrix.fits(codes.size(1)) && EightBitMatrix.multipliesFewRows(dtype, rows);
    }

    /** As {@link FrozenMatrix#multiplyInto}, of x as {@link #round} leaves it. */
    @Override
    public void multiplyInto(Tensor x, Tensor y) {
        long blocks = codes.size(1) / EightBitProduct.BLOCK;
        Tensor each = blockScales;
        if (each == null) { // 1 byte for 8 weights more, in processes that generate
            each = Tensors.empty(DType.F32, codes.size(0), blocks);
            each.copyFrom(scales.times(1 / 127.0).unsqueeze(1).expand(codes.size(0), blocks));
            blockScales = TensorScope.release(each);
        }
        Tensor rows = round(x.view(x.count() / codes.size(1), codes.size(1)));
        y.copyFrom(EightBitMatrix.times(rows, codes, each).view(y.shape()));
    }

    @Override
    public long byteSize() {
        return codes.byteSize() + scales.byteSize();
    }

    @Override
    public void close() {
        codes.close();
        scales.close();
        if (blockScales != null) {
            blockScales.close();
        }
    }
}
