package org.qlora4j.quant;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Samples;

class EightBitMatrixTest {
    /** A product with one-hot rows gives the weights back: each is off by half a step at most. */
    @Test
    void weights_areOffByHalfAStepOfTheirBlock() {
        long before = NativeMemory.liveBytes();
        try (TensorScope scope = TensorScope.open()) {
            int out = 5;
            int in = 64;
            Tensor weight = Samples.normal(DType.F32, 7, out, in);
            weight.narrow(0, 1, 1).narrow(1, 32, 32).zero();
            float[] exact = weight.toFloats();
            try (EightBitMatrix matrix = EightBitMatrix.quantize(weight)) {
                assertThat(matrix.byteSize()).isEqualTo(out * in * 9 / 8);
                for (int j = 0; j < in; j++) {
                    float[] oneHot = new float[in];
                    oneHot[j] = 1;
                    float[] column = matrix.times(Tensors.of(oneHot, 1, in)).toFloats();
                    for (int i = 0; i < out; i++) {
                        float absmax = 0;
                        for (int k = j / 32 * 32; k < j / 32 * 32 + 32; k++) {
                            absmax = Math.max(absmax, Math.abs(exact[i * in + k]));
                        }
                        assertThat(Math.abs(column[i] - exact[i * in + j]))
                                .isLessThanOrEqualTo(absmax / 254 * 1.001f);
                    }
                }
            }
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    @Test
    void lineThatIsNoMultipleOf32_doesNotFit() {
        assertThat(EightBitMatrix.fits(100)).isFalse();
        assertThat(EightBitMatrix.fits(576)).isTrue();
    }
}
