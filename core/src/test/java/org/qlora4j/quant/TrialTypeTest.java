package org.qlora4j.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

class TrialTypeTest {
    private static float[] normal(int count) {
        Random random = new Random(7);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian() * 0.02f;
        }
        return values;
    }

    /** The kernels that train and generate give the same. */
    @ParameterizedTest
    @CsvSource({"NF4, 64, true", "NF4, 32, false", "FP4, 128, true", "FP4, 64, false"})
    void typesOfCheckpoints_areThoseOfCheckpoints(String type, int blockSize, boolean nested) {
        float[] values = normal(33 * 50);
        try (TensorScope scope = TensorScope.open()) {
            Tensor weight = Tensors.of(values, 33, 50);
            QuantConfig config = new QuantConfig(true, QuantType.valueOf(type), nested, blockSize);
            try (QuantizedMatrix matrix = QuantizedMatrix.quantize(weight, config)) {
                assertThat(TrialType.valueOf(type).roundTrip(weight, blockSize, nested).toFloats())
                        .isEqualTo(matrix.dequantize(DType.F32).toFloats());
            }
        }
    }

    /** Each value goes to the nearest level of its block, by trying all of them. */
    @ParameterizedTest
    @EnumSource(
            value = TrialType.class,
            names = {"INT4", "NF3", "NF2"})
    void otherTypes_roundToTheNearestLevel(TrialType type) {
        double[] levels =
                switch (type) {
                    case INT4 -> {
                        double[] out = new double[15];
                        for (int i = 0; i < 15; i++) {
                            out[i] = (i - 7) / 7.0;
                        }
                        yield out;
                    }
                    // scipy.stats.norm.ppf at the probabilities of the rule of NF-k
                    case NF3 ->
                            new double[] {
                                -1, -0.5350227, -0.2469314, 0, 0.1833375, 0.3819940, 0.6229857, 1
                            };
                    default -> new double[] {-1, 0, 0.4358182, 1};
                };
        float[] values = normal(3 * 64 + 17);
        try (TensorScope scope = TensorScope.open()) {
            Tensor weight = Tensors.of(values, 1, values.length);
            float[] got = type.roundTrip(weight, 64, false).toFloats();
            for (int i = 0; i < values.length; i++) {
                int block = i / 64 * 64;
                double absmax = 0;
                for (int j = block; j < Math.min(values.length, block + 64); j++) {
                    absmax = Math.max(absmax, Math.abs(values[j]));
                }
                double nearest = Double.MAX_VALUE;
                for (double level : levels) {
                    nearest = Math.min(nearest, Math.abs(level * absmax - values[i]));
                }
                assertThat(Math.abs((double) got[i] - values[i]))
                        .as("value %d", i)
                        .isCloseTo(nearest, within(1e-8));
            }
        }
    }

    /** Of LLM.int8(): codes 51, -127 and 32 of a row whose largest is 1, and a row of zeros. */
    @Test
    void int8_hasOneScaleARow() {
        try (TensorScope scope = TensorScope.open()) {
            Tensor weight = Tensors.of(new float[] {.4f, -1, .25f, 0, 0, 0}, 2, 3);
            float[] got = TrialType.INT8.roundTrip(weight, 64, false).toFloats();
            assertThat(got)
                    .containsExactly(
                            new float[] {51 / 127f, -1, 32 / 127f, 0, 0, 0}, within(1e-7f));
        }
    }

    @Test
    void bits_countScales() {
        assertThat(TrialType.NF4.bits(64, false, 576)).isEqualTo(4.5);
        assertThat(TrialType.NF4.bits(64, true, 576)).isCloseTo(4.126953, within(1e-6));
        assertThat(TrialType.NF2.bits(128, false, 576)).isEqualTo(2.25);
        assertThat(TrialType.INT8.bits(64, true, 512)).isEqualTo(8.0625);
    }
}
