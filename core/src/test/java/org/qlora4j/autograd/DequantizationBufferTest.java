package org.qlora4j.autograd;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Samples;

class DequantizationBufferTest {
    @Test
    void weightsOfManySizes_shareTheMemoryOfTheLargest() {
        long before = NativeMemory.liveBytes();
        try (TensorScope scope = TensorScope.open();
                QuantizedMatrix small = matrix(8, 64);
                QuantizedMatrix large = matrix(40, 96);
                DequantizationBuffer buffer = new DequantizationBuffer()) {
            for (DType dtype : new DType[] {DType.F32, DType.BF16}) {
                for (QuantizedMatrix m : new QuantizedMatrix[] {small, large, small}) {
                    Tensor decoded = buffer.fill(m, dtype);
                    assertThat(decoded.shape()).isEqualTo(m.shape());
                    assertThat(decoded.toFloats()).isEqualTo(m.dequantize(dtype).toFloats());
                }
                try (TensorScope inner = TensorScope.open()) {
                    long held = NativeMemory.liveBytes();
                    buffer.fill(small, dtype);
                    buffer.fill(large, dtype);
                    assertThat(NativeMemory.liveBytes()).isEqualTo(held);
                }
            }
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    private static QuantizedMatrix matrix(long out, long in) {
        return QuantizedMatrix.quantize(
                Samples.normal(DType.F32, 91, out, in), QuantConfig.DEFAULT);
    }
}
