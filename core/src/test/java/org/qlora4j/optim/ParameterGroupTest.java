package org.qlora4j.optim;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import tools.jackson.databind.JsonNode;

/** Decay against the trainer of transformers, LoRA+ against PEFT. */
class ParameterGroupTest {
    private static final JsonNode GROUPS = References.read("groups.json");

    static Stream<Arguments> parameters() {
        return Stream.of("whole", "loraplus")
                .flatMap(model ->
                        GROUPS.get(model)
                                .propertyStream()
                                .map(p -> Arguments.of(model, p.getKey(), p.getValue())));
    }

    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("parameters")
    void parameter_hasTheDecayAndRateOfThePeers(String model, String name, JsonNode expected) {
        try (TensorScope scope = TensorScope.open();
                Parameter parameter =
                        Parameter.trainable(
                                name,
                                Tensors.zeros(DType.F32, References.longs(expected.get("shape"))),
                                DType.F32)) {
            boolean loraPlus = model.equals("loraplus");
            ParameterGroup group = ParameterGroup.of(parameter, loraPlus ? 16.0 : null);
            assertThat(group.decays()).isEqualTo(expected.get("decays").asBoolean());
            assertThat(1e-3 * group.rateFactor())
                    .isEqualTo(loraPlus ? expected.get("rate").asDouble() : 1e-3);
            assertThat(group.fullState()).isEqualTo(name.endsWith("embed_tokens.weight"));
        }
    }

    /** By hand: the first step moves each weight by its rate, against the sign of the gradient. */
    @Test
    void groupsOfTwoRates_moveEachByItsOwn(@TempDir Path folder) {
        try (TensorScope scope = TensorScope.open();
                Parameter a =
                        Parameter.trainable(
                                "x.lora_A.weight", Tensors.zeros(DType.F32, 2, 3), DType.F32);
                Parameter b =
                        Parameter.trainable(
                                "x.lora_B.weight", Tensors.zeros(DType.F32, 3, 2), DType.F32);
                TrainableParameters all =
                        new TrainableParameters(List.of(a, b), p -> ParameterGroup.of(p, 16.0));
                AdamW optimizer = new AdamW(all, OptimConfig.DEFAULT, folder)) {
            a.grad().fill(3);
            b.grad().fill(-0.5);
            optimizer.step(1e-3);
            assertThat(a.master().toFloats()).containsOnly(-1e-3f);
            assertThat(b.master().toFloats()).containsOnly(1.6e-2f);
        }
    }
}
