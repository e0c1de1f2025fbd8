package org.qlora4j.optim;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.Samples;

/** AdamW whose moments have 8 bits, as its parameters and its files see it. */
class EightBitAdamTest {
    private static final ParameterGroup PLAIN = new ParameterGroup(true, 1, false);
    private static final OptimConfig EIGHT_BIT =
            new OptimConfig(OptimType.ADAMW_8BIT, 0.9, 0.999, 1e-8, 0.1);

    @TempDir Path folder;

    private static Parameter parameter(String name, long seed, long... shape) {
        try (TensorScope scope = TensorScope.open()) {
            return Parameter.trainable(name, Samples.normal(DType.F32, seed, shape), DType.F32);
        }
    }

    private static void fillGradients(List<Parameter> parameters, long seed) {
        try (TensorScope scope = TensorScope.open()) {
            for (Parameter p : parameters) {
                p.grad().copyFrom(Samples.normal(DType.F32, seed++, p.grad().shape()));
            }
        }
    }

    /** By bitsandbytes' rule: {@code min_8bit_size} 4096, embeddings always in 32 bits. */
    @Test
    void files_holdEightBitsForLargeTensorsThatAreNoEmbedding() {
        List<Parameter> parameters =
                List.of(
                        parameter("large", 1, 64, 65),
                        parameter("least", 2, 4096),
                        parameter("small", 3, 4095),
                        parameter("model.embed_tokens.weight", 4, 128, 64));
        long before = NativeMemory.liveBytes();
        try (TrainableParameters all =
                        new TrainableParameters(parameters, p -> ParameterGroup.of(p, null));
                AdamW optimizer = new AdamW(all, EIGHT_BIT, folder);
                TensorScope scope = TensorScope.open()) {
            fillGradients(parameters, 5);
            optimizer.step(1e-3);
            Path file = folder.resolve("optimizer.safetensors");
            optimizer.save(file);
            Golden saved = Golden.open(file);
            assertThat(saved.names())
                    .containsExactlyInAnyOrder(
                            "large.state1",
                            "large.absmax1",
                            "large.state2",
                            "large.absmax2",
                            "least.state1",
                            "least.absmax1",
                            "least.state2",
                            "least.absmax2",
                            "small.exp_avg",
                            "small.exp_avg_sq",
                            "model.embed_tokens.weight.exp_avg",
                            "model.embed_tokens.weight.exp_avg_sq");
            assertThat(saved.tensor("large.state1").shape()).containsExactly(64, 65);
            assertThat(saved.tensor("large.state1").dtype()).isEqualTo(DType.U8);
            assertThat(saved.tensor("large.absmax2").shape()).containsExactly(17);
        }
        parameters.forEach(Parameter::close);
        assertThat(NativeMemory.liveBytes()).isLessThan(before);
    }

    @ParameterizedTest
    @EnumSource(
            value = OptimType.class,
            names = {"ADAMW_8BIT", "PAGED_ADAMW_8BIT"})
    void stateLoaded_goesOnWithTheSameBits(OptimType type) {
        OptimConfig config = new OptimConfig(type, 0.9, 0.999, 1e-8, 0.1);
        Path file = folder.resolve("optimizer.safetensors");
        List<Parameter> ones = List.of(parameter("a", 1, 70, 61), parameter("b", 2, 30));
        List<Parameter> others = List.of(parameter("a", 3, 70, 61), parameter("b", 4, 30));
        try (TrainableParameters first = new TrainableParameters(ones, p -> PLAIN);
                AdamW whole = new AdamW(first, EIGHT_BIT, folder);
                TrainableParameters second = new TrainableParameters(others, p -> PLAIN);
                AdamW half = new AdamW(second, config, folder)) {
            for (int t = 0; t < 6; t++) {
                if (t == 3) {
                    whole.save(file);
                    half.load(file);
                    for (int i = 0; i < ones.size(); i++) {
                        others.get(i).master().copyFrom(ones.get(i).master());
                    }
                }
                fillGradients(ones, 10 * t);
                whole.step(1e-2);
                if (t >= 3) {
                    fillGradients(others, 10 * t);
                    half.step(1e-2);
                }
            }
            for (int i = 0; i < ones.size(); i++) {
                assertThat(others.get(i).master().toFloats())
                        .isEqualTo(ones.get(i).master().toFloats());
            }
        }
        ones.forEach(Parameter::close);
        others.forEach(Parameter::close);
    }
}
