package org.qlora4j.optim;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

class TrainableParametersTest {
    private static Parameter parameter(int number, DType compute) {
        try (TensorScope scope = TensorScope.open()) {
            return Parameter.trainable(
                    "p" + number, Tensors.full(number, DType.F32, 100, 10), compute);
        }
    }

    /** A run begins with no more than it will need: masters and gradients of 4000 bytes each. */
    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void built_holdsNoMoreThanItKeeps(DType compute) {
        long before = NativeMemory.liveBytes();
        List<Parameter> all = IntStream.range(0, 5).mapToObj(i -> parameter(i, compute)).toList();
        long own = NativeMemory.liveBytes();
        NativeMemory.resetPeak();
        try (var parameters = new TrainableParameters(all, p -> ParameterGroup.of(p, null))) {
            assertThat(NativeMemory.peakBytes()).isEqualTo(own);
            assertThat(NativeMemory.liveBytes()).isEqualTo(own);
            assertThat(parameters.gradients().toFloats()).hasSize(5000).containsOnly(0);
            assertThat(all.get(3).master().toFloats()).containsOnly(3);
            all.get(3).grad().fill(2);
            assertThat(parameters.gradientNorm()).isEqualTo(Math.sqrt(4000));
        }
        all.forEach(Parameter::close);
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }
}
