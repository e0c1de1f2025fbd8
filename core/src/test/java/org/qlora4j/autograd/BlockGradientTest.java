package org.qlora4j.autograd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.OperationCase.Run;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Samples;

/** {@link Tape#block}: whole decoder layers, recorded or run again in the backward pass. */
class BlockGradientTest implements F64GradientSuite {
    @Override
    public double bf16Tolerance() {
        return 5e-2; // the roundings of three layers add up
    }

    static Stream<OperationCase> cases() {
        return Stream.of(
                new DecoderLayerCase(1, false, 0).asCase("one layer"),
                new DecoderLayerCase(3, false, 0).asCase("three layers"),
                new DecoderLayerCase(1, true, 0).asCase("one checkpointed layer"),
                new DecoderLayerCase(3, true, 0).asCase("three checkpointed layers"));
    }

    @ParameterizedTest(name = "dropout {0}, seed 71")
    @ValueSource(doubles = {0, 0.4})
    void checkpointedLayers_giveTheBitsOfRecordedOnes(double dropout) {
        for (DType dtype : List.of(DType.F32, DType.BF16)) {
            List<float[]> recorded = everything(new DecoderLayerCase(3, false, dropout), dtype);
            List<float[]> checkpointed = everything(new DecoderLayerCase(3, true, dropout), dtype);
            for (int i = 0; i < recorded.size(); i++) {
                assertThat(checkpointed.get(i))
                        .as("%s, part %d", dtype, i)
                        .isEqualTo(recorded.get(i));
            }
        }
    }

    /** Value, gradient of the input, gradients of the parameters. */
    private static List<float[]> everything(DecoderLayerCase layers, DType dtype) {
        List<float[]> parts = new ArrayList<>();
        try (TensorScope scope = TensorScope.open();
                Run run = layers.asCase("layers").run(dtype)) {
            Var out = layers.asCase("layers").ours().apply(run);
            parts.add(out.value().toFloats());
            run.tape.backward(out, Samples.normal(dtype, 73, out.value().shape()));
            try (Tensor gradient = Objects.requireNonNull(run.x(0).takeGrad())) {
                parts.add(gradient.toFloats());
            }
            run.parameters.forEach(p -> parts.add(p.grad().toFloats()));
        }
        return parts;
    }

    @ParameterizedTest(name = "checkpointed {0}")
    @ValueSource(booleans = {false, true})
    void afterForward_onlySavedValuesAreHeld(boolean checkpoint) {
        OperationCase layers = new DecoderLayerCase(8, checkpoint, 0).asCase("layers");
        try (TensorScope scope = TensorScope.open();
                Run run = layers.run(DType.F32)) {
            long before = NativeMemory.liveBytes();
            Var out = layers.ours().apply(run);
            long perLayer = (NativeMemory.liveBytes() - before) / 8;
            long hidden = out.value().byteSize();
            // a checkpointed layer keeps its input; a recorded one keeps the inputs of its parts
            assertThat(perLayer).isLessThan(checkpoint ? 2 * hidden : 16 * hidden);
            assertThat(perLayer).isGreaterThanOrEqualTo(checkpoint ? hidden : 8 * hidden);
        }
    }
}
