package org.qlora4j.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Raw;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

class QuantTypeTest {
    /**
     * NF4 from its definition (formats.md, 1.1): quantiles of the normal distribution from the
     * outer probability to one half, 8 steps on the positive and 7 on the negative side, and 0;
     * divided by the largest. libtorch's inverse of the normal distribution in f64.
     */
    @Test
    void nf4_followsFromTheNormalDistribution() {
        double delta = 0.9677083; // bitsandbytes' constant: 1 - (1/32 + 1/30) / 2
        double[] expected = new double[16];
        int n = 0;
        for (int i = 0; i < 8; i++) {
            expected[n++] = quantile(delta + (0.5 - delta) * i / 8);
        }
        for (int i = 0; i < 7; i++) {
            expected[n++] = -quantile(delta + (0.5 - delta) * i / 7);
        }
        expected[n] = 0;
        Arrays.sort(expected);
        float[] levels = QuantType.NF4.levels();
        for (int code = 0; code < 16; code++) {
            assertThat((double) levels[code])
                    .as("level %d", code)
                    .isCloseTo(expected[code] / expected[15], within(1.1e-7));
        }
        assertThat(levels[7]).isEqualTo(0f);
    }

    private static double quantile(double probability) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor p = Tensors.zeros(DType.F64, 1).addInPlace(probability);
            return Raw.wrap(torch.special_ndtri(Raw.of(p))).item();
        }
    }

    /** A sign bit and the magnitudes of formats.md, 1.3, over 12; code 8 is +0 too. */
    @Test
    void fp4_isASignAndEightMagnitudes() {
        float[] magnitudes = {0, 0.0625f, 8, 12, 4, 6, 2, 3};
        float[] levels = QuantType.FP4.levels();
        for (int code = 0; code < 8; code++) {
            float magnitude = (float) (magnitudes[code] / 12.0);
            assertThat(levels[code]).isEqualTo(magnitude);
            assertThat(levels[code + 8]).isEqualTo(code == 0 ? 0f : -magnitude);
        }
    }

    @Test
    void levels_areACopy() {
        QuantType.NF4.levels()[0] = 5;
        assertThat(QuantType.NF4.levels()[0]).isEqualTo(-1);
    }

    @ParameterizedTest
    @ValueSource(ints = {-64, 0, 16, 31, 33, 100, 4095, 8192})
    void blockSizeThatIsNotAllowed_isAUserError(int blockSize) {
        assertThatThrownBy(() -> new QuantConfig(true, QuantType.NF4, true, blockSize))
                .isInstanceOf(ConfigException.class)
                .hasMessageEndingWith("must be a power of two from 32 to 4096, got " + blockSize);
    }
}
