package org.qlora4j.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.kernel.BlockScales;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Samples;

class QuantizedMatrixTest {
    private long liveBefore;

    @BeforeEach
    void countBytes() {
        liveBefore = NativeMemory.liveBytes();
    }

    @AfterEach
    void noBytesAreLeft() {
        assertThat(NativeMemory.liveBytes()).isEqualTo(liveBefore);
    }

    private static QuantConfig config(QuantType type, boolean doubleQuant, int blockSize) {
        return new QuantConfig(true, type, doubleQuant, blockSize);
    }

    /** The paper, section 3: 0.5 bits a weight for the scales become 0.127. */
    @Test
    void bitsOfAWeight_areThoseOfThePaper() {
        try (TensorScope scope = TensorScope.open()) {
            Tensor weight = Tensors.zeros(DType.BF16, 4096, 1024);
            weight.narrow(0, 0, 2048).fill(0.5);
            try (QuantizedMatrix plain =
                            QuantizedMatrix.quantize(weight, config(QuantType.NF4, false, 64));
                    QuantizedMatrix nested =
                            QuantizedMatrix.quantize(weight, config(QuantType.NF4, true, 64))) {
                double weights = 4096.0 * 1024;
                assertThat(plain.byteSize() * 8 / weights).isEqualTo(4.5);
                double exact = 4 + 8 / 64.0 + 32 / (64.0 * 256); // and one f32 mean for all
                assertThat(nested.byteSize() * 8 / weights).isCloseTo(exact, within(1e-5));
                assertThat(exact).isCloseTo(4.127, within(5e-4));
                assertThat(nested.count()).isEqualTo(4096L * 1024);
            }
        }
    }

    /**
     * A weight that has been through 4 bits once stays as it is: the largest of each block is a
     * level of magnitude 1, so that the scale comes back too.
     */
    @ParameterizedTest(name = "{0}, seed 52")
    @EnumSource
    void quantizingADequantizedWeight_changesNothing(QuantType type) {
        for (int blockSize : new int[] {32, 64, 4096}) {
            try (TensorScope scope = TensorScope.open()) {
                Tensor weight = Samples.normal(DType.F32, 52, 77, 131);
                weight.narrow(0, 3, 10).zero(); // blocks of zeros too
                QuantConfig config = config(type, false, blockSize);
                try (QuantizedMatrix once = QuantizedMatrix.quantize(weight, config);
                        QuantizedMatrix twice =
                                QuantizedMatrix.quantize(once.dequantize(DType.F32), config)) {
                    assertThat(twice.scales().absmax().toFloats())
                            .isEqualTo(once.scales().absmax().toFloats());
                    assertThat(twice.dequantize(DType.F32).toFloats())
                            .isEqualTo(once.dequantize(DType.F32).toFloats());
                    if (type == QuantType.NF4) { // FP4 has two codes of 0
                        assertThat(twice.codes().toLongs()).isEqualTo(once.codes().toLongs());
                    }
                }
            }
        }
    }

    /** Half the widest gap between levels bounds the error of each weight. */
    @ParameterizedTest(name = "{0}, seed 53")
    @EnumSource
    void error_staysBelowHalfTheWidestGap(QuantType type) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor weight = Samples.normal(DType.F32, 53, 64, 256);
            try (QuantizedMatrix q = QuantizedMatrix.quantize(weight, config(type, false, 64))) {
                float[] levels = type.levels();
                java.util.Arrays.sort(levels);
                double gap = 0;
                for (int i = 1; i < 16; i++) {
                    gap = Math.max(gap, levels[i] - levels[i - 1]);
                }
                float[] exact = weight.toFloats();
                float[] decoded = q.dequantize(DType.F32).toFloats();
                float[] absmax = q.scales().absmax().toFloats();
                for (int i = 0; i < exact.length; i++) {
                    assertThat(Math.abs(exact[i] - decoded[i]))
                            .isLessThanOrEqualTo((float) (gap / 2 * absmax[i / 64] * 1.000001));
                }
            }
        }
    }

    /** Double quantization moves each scale by at most half the widest gap of its 8-bit map. */
    @Test
    void nestedScales_stayNearThePlainOnes() {
        try (TensorScope scope = TensorScope.open()) {
            Tensor weight = Samples.normal(DType.F32, 54, 300, 256);
            try (QuantizedMatrix plain =
                            QuantizedMatrix.quantize(weight, config(QuantType.NF4, false, 64));
                    QuantizedMatrix nested =
                            QuantizedMatrix.quantize(weight, config(QuantType.NF4, true, 64))) {
                float[] exact = plain.scales().absmax().toFloats();
                BlockScales scales = nested.scales();
                long[] codes = scales.absmax().toLongs();
                float[] second = Objects.requireNonNull(scales.nestedAbsmax()).toFloats();
                assertThat(second).hasSize((exact.length + 255) / 256);
                for (int i = 0; i < exact.length; i++) {
                    float decoded =
                            scales.map()[(int) codes[i]] * second[i / 256] + scales.offset();
                    assertThat(decoded).isCloseTo(exact[i], within(0.008f * second[i / 256]));
                }
                assertThat(nested.codes().toLongs()).isEqualTo(plain.codes().toLongs());
            }
        }
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void weightThatIsNotFinite_isRefused(float bad) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor weight = Samples.normal(DType.F32, 55, 5, 33);
            weight.narrow(0, 4, 1).narrow(1, 30, 1).fill(bad);
            assertThatThrownBy(() -> QuantizedMatrix.quantize(weight, QuantConfig.DEFAULT))
                    .isInstanceOf(ArithmeticException.class)
                    .hasMessageContaining("NaN or infinite");
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F64", "F32", "BF16", "F16"})
    void weightOfAnyFloatType_remembersItAndGivesTheSameCodes(DType dtype) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor half = Samples.normal(DType.F16, 56, 9, 50).to(DType.BF16).to(DType.F16);
            try (QuantizedMatrix q = QuantizedMatrix.quantize(half.to(dtype), QuantConfig.DEFAULT);
                    QuantizedMatrix f32 =
                            QuantizedMatrix.quantize(half.to(DType.F32), QuantConfig.DEFAULT)) {
                assertThat(q.dtype()).isEqualTo(dtype);
                assertThat(q.shape()).containsExactly(9, 50);
                assertThat(q.codes().toLongs()).isEqualTo(f32.codes().toLongs());
                assertThat(q.scales().offset()).isEqualTo(f32.scales().offset());
            }
        }
    }

    @Test
    void bufferOfAnotherSize_isRefused() {
        try (TensorScope scope = TensorScope.open();
                QuantizedMatrix q =
                        QuantizedMatrix.quantize(
                                Samples.normal(DType.F32, 57, 4, 16), QuantConfig.DEFAULT)) {
            Tensor out = Tensors.empty(DType.F32, 63);
            assertThatThrownBy(() -> q.dequantizeInto(out))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("F32[63] does not hold 64 weights");
        }
    }
}
