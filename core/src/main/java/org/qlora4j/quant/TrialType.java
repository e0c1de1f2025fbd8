package org.qlora4j.quant;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.BlockScales;
import org.qlora4j.kernel.CodeTable;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Data types as studies compare them (arXiv 2305.14314, Table 2), also those that no checkpoint
 * holds: a weight is rounded to one and back.
 */
public enum TrialType {
    /** 4-bit NormalFloat. */
    NF4(4, QuantType.NF4.table()),
    /** 4-bit float. */
    FP4(4, QuantType.FP4.table()),
    /** The whole numbers from -7 to 7, divided by 7. */
    INT4(4, table(wholes(7))),
    /** 3-bit NormalFloat: the rule of the 4-bit one with three bits. */
    NF3(
            3,
            table(
                    -1f,
                    -0.5350227355957031f,
                    -0.24693143367767334f,
                    0f,
                    0.1833374798297882f,
                    0.38199394941329956f,
                    0.6229857206344604f,
                    1f)),
    /** 2-bit NormalFloat. */
    NF2(2, table(-1f, 0f, 0.4358181655406952f, 1f)),
    /** LLM.int8() (arXiv 2208.07339): one scale a row, after rounding to 16 bits. */
    INT8(8, null);

    /** Added and taken away again it rounds a small float to the nearest integer, ties to even. */
    private static final double ROUNDING = 12582912;

    private final int bits;
    private final @Nullable CodeTable table;

    TrialType(int bits, @Nullable CodeTable table) {
        this.bits = bits;
        this.table = table;
    }

    /** As study files write it. */
    public String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** The type of a name. */
    public static Optional<TrialType> of(String key) {
        return Arrays.stream(values()).filter(type -> type.key().equals(key)).findFirst();
    }

    /** Whether weights share scales in blocks of a size that may be chosen. */
    public boolean hasBlocks() {
        return table != null;
    }

    /**
     * Bits that a weight takes with its share of the scales.
     *
     * @param in input features, whose weights share a scale where there are no blocks
     */
    public double bits(int blockSize, boolean doubleQuant, long in) {
        if (!hasBlocks()) {
            return bits + 32.0 / in;
        }
        double scale = doubleQuant ? 8 + 32.0 / BlockScales.NESTED_BLOCK : 32;
        return bits + scale / blockSize;
    }

    /**
     * A weight rounded to this type and back.
     *
     * @param weight [out, in], F32, contiguous
     * @return new, of the same shape, in the innermost scope
     */
    public Tensor roundTrip(Tensor weight, int blockSize, boolean doubleQuant) {
        if (table == null) {
            return wholeRows(weight);
        }
        long n = weight.count();
        Tensor out = Tensors.empty(DType.F32, weight.shape());
        try (TensorScope scope = TensorScope.open()) {
            Tensor codes = Tensors.empty(DType.U8, Math.ceilDiv(n, 2));
            Tensor absmax = Tensors.empty(DType.F32, Math.ceilDiv(n, blockSize));
            var fourBit = Kernels.current().fourBit();
            fourBit.quantize(weight, table, blockSize, codes, absmax);
            BlockScales scales =
                    doubleQuant ? QuantizedMatrix.nested(absmax) : BlockScales.plain(absmax);
            fourBit.dequantize(codes, scales, table, blockSize, out);
        }
        return out;
    }

    private static Tensor wholeRows(Tensor weight) {
        Tensor half = weight.to(DType.F16).to(DType.F32);
        Tensor scale = half.abs().amax(1, true);
        Tensor divisor = scale.times(1);
        divisor.maskedFillInPlace(scale.equalTo(0), 1);
        Tensor codes =
                half.times(127)
                        .times(divisor.reciprocal())
                        .addInPlace(ROUNDING)
                        .addInPlace(-ROUNDING);
        return codes.mulInPlace(scale).mulInPlace(1 / 127.0);
    }

    private static float[] wholes(int largest) {
        float[] levels = new float[2 * largest + 1];
        for (int i = 0; i < levels.length; i++) {
            levels[i] = (float) (i - largest) / largest;
        }
        return levels;
    }

    /**
     * At most 16 rising levels as kernels take them. The last stands for those that are missing: no
     * value lies above it, so that the first of equals is taken.
     */
    private static CodeTable table(float... levels) {
        float[] all = Arrays.copyOf(levels, 16);
        Arrays.fill(all, levels.length, 16, levels[levels.length - 1]);
        float[] thresholds = new float[15];
        byte[] codes = new byte[16];
        for (int i = 0; i < 16; i++) {
            codes[i] = (byte) i;
            if (i < 15) {
                thresholds[i] = (float) (((double) all[i] + all[i + 1]) / 2);
            }
        }
        return new CodeTable(all, thresholds, codes);
    }
}
