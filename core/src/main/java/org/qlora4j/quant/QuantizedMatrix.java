package org.qlora4j.quant;

import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.BlockScales;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * A frozen weight in 4 bits (arXiv 2305.14314, section 3). It owns its tensors; {@link #close}
 * frees them.
 *
 * <p>With block size 64 a weight takes 4.5 bits, or 4.127 with double quantization.
 */
public final class QuantizedMatrix implements FrozenMatrix {
    private final QuantType type;
    private final int blockSize;
    private final DType dtype;
    private final long[] shape;
    private final Tensor codes;
    private final BlockScales scales;

    /**
     * @param shape of the weight, [out, in]
     * @param dtype the type the weight had before it was quantized
     * @param codes U8 [ceil(n / 2)]; released from its scope, owned from now on
     * @param scales of the blocks; likewise owned
     */
    public QuantizedMatrix(
            QuantType type,
            int blockSize,
            DType dtype,
            long[] shape,
            Tensor codes,
            BlockScales scales) {
        this.type = type;
        this.blockSize = blockSize;
        this.dtype = dtype;
        this.shape = shape.clone();
        this.codes = TensorScope.release(codes);
        this.scales = scales;
        TensorScope.release(scales.absmax());
        Tensor nested = scales.nestedAbsmax();
        if (nested != null) {
            TensorScope.release(nested);
        }
    }

    /**
     * Quantizes a contiguous weight of any float type.
     *
     * @throws ArithmeticException if a value is NaN or infinite
     */
    public static QuantizedMatrix quantize(Tensor weight, QuantConfig config) {
        try (TensorScope scope = TensorScope.open()) {
            long n = weight.count();
            int blockSize = config.blockSize();
            Tensor codes = Tensors.empty(DType.U8, (n + 1) / 2);
            Tensor absmax = Tensors.empty(DType.F32, (n + blockSize - 1) / blockSize);
            Kernels.current()
                    .fourBit()
                    .quantize(weight, config.type().table(), blockSize, codes, absmax);
            if (!absmax.allFinite()) {
                throw new ArithmeticException("the weight holds a value that is NaN or infinite");
            }
            BlockScales scales = config.doubleQuant() ? nested(absmax) : BlockScales.plain(absmax);
            return new QuantizedMatrix(
                    config.type(), blockSize, weight.dtype(), weight.shape(), codes, scales);
        }
    }

    /** Room for a weight [out, in], with undefined content. */
    public static QuantizedMatrix empty(long[] shape, QuantConfig config) {
        try (TensorScope scope = TensorScope.open()) {
            long n = shape[0] * shape[1];
            long blocks = Math.ceilDiv(n, config.blockSize());
            long groups = Math.ceilDiv(blocks, BlockScales.NESTED_BLOCK);
            Tensor codes = Tensors.empty(DType.U8, Math.ceilDiv(n, 2));
            BlockScales scales =
                    config.doubleQuant()
                            ? new BlockScales(
                                    Tensors.empty(DType.U8, blocks),
                                    Tensors.empty(DType.F32, groups),
                                    DynamicMap.SIGNED.values(),
                                    0)
                            : BlockScales.plain(Tensors.empty(DType.F32, blocks));
            return new QuantizedMatrix(
                    config.type(), config.blockSize(), DType.F32, shape, codes, scales);
        }
    }

    /** Scales in 8 bits with scales of their own. */
    static BlockScales nested(Tensor absmax) {
        AbsmaxCodec.Encoded encoded = AbsmaxCodec.encode(absmax.toFloats());
        return new BlockScales(
                Tensors.of(encoded.codes(), encoded.codes().length),
                Tensors.of(encoded.nestedAbsmax(), encoded.nestedAbsmax().length),
                DynamicMap.SIGNED.values(),
                encoded.offset());
    }

    /**
     * Writes the weight into a contiguous tensor of n elements, F32 or BF16: level times absmax in
     * f32, rounded once.
     */
    @Override
    public void dequantizeInto(Tensor out) {
        if (out.count() != count()) {
            throw new IllegalArgumentException(out + " does not hold " + count() + " weights");
        }
        Kernels.current().fourBit().dequantize(codes, scales, type.table(), blockSize, out);
    }

    @Override
    public boolean multipliesFewRows(DType dtype, long rows) {
        return Kernels.current().fourBitProduct().takes(dtype, rows, shape[1], blockSize);
    }

    @Override
    public void multiplyInto(Tensor x, Tensor y) {
        Kernels.current().fourBitProduct().multiply(x, codes, scales, type.table(), blockSize, y);
    }

    public QuantType type() {
        return type;
    }

    public int blockSize() {
        return blockSize;
    }

    /** Type of the weight before it was quantized. */
    public DType dtype() {
        return dtype;
    }

    @Override
    public long[] shape() {
        return shape.clone();
    }

    /** Packed codes, U8 [ceil(n / 2)]; still owned by this matrix. */
    public Tensor codes() {
        return codes;
    }

    /** Scales of the blocks; still owned by this matrix. */
    public BlockScales scales() {
        return scales;
    }

    @Override
    public long byteSize() {
        return codes.byteSize() + scales.byteSize();
    }

    @Override
    public void close() {
        codes.close();
        scales.absmax().close();
        @Nullable Tensor nested = scales.nestedAbsmax();
        if (nested != null) {
            nested.close();
        }
    }
}
