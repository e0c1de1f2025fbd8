package org.qlora4j.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.error.FormatException;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.Samples;
import tools.jackson.databind.JsonNode;

/** AdamW, decay groups and clipping against torch. */
class AdamWTest {
    private static final JsonNode CASES = References.read("adamw.json.gz");

    private static final ParameterGroup PLAIN = new ParameterGroup(true, 1, false);
    private static final ParameterGroup NO_DECAY = new ParameterGroup(false, 1, false);

    @TempDir Path folder;
    private long liveBefore;

    @BeforeEach
    void count() {
        liveBefore = NativeMemory.liveBytes();
    }

    @AfterEach
    void everythingIsFreed() {
        assertThat(NativeMemory.liveBytes()).isEqualTo(liveBefore);
    }

    static Stream<Arguments> cases() {
        return IntStream.range(0, CASES.size())
                .boxed()
                .flatMap(i ->
                        Stream.of(OptimType.values())
                                .map(type ->
                                        Arguments.of(CASES.get(i).get("seed").asInt(), i, type)));
    }

    /** Parameters under the names of a case of torch's, with an optimizer on them. */
    private final class Setup implements AutoCloseable {
        final Map<String, Parameter> named = new LinkedHashMap<>();
        final TrainableParameters parameters;
        final AdamW optimizer;

        Setup(JsonNode c, OptimType type) {
            c.get("shapes")
                    .forEachEntry((name, shape) -> {
                        try (TensorScope scope = TensorScope.open()) {
                            var start =
                                    Tensors.of(
                                            References.floats(c.get("start").get(name)),
                                            References.longs(shape));
                            named.put(name, Parameter.trainable(name, start, DType.F32));
                        }
                    });
            parameters =
                    new TrainableParameters(
                            List.copyOf(named.values()),
                            p -> p.name().equals("bias") ? NO_DECAY : PLAIN);
            optimizer =
                    new AdamW(
                            parameters,
                            new OptimConfig(
                                    type,
                                    c.get("beta1").asDouble(),
                                    c.get("beta2").asDouble(),
                                    c.get("eps").asDouble(),
                                    c.get("decay").asDouble()),
                            folder);
        }

        Parameter named(String name) {
            return Objects.requireNonNull(named.get(name), name);
        }

        /** Returns the norm of the gradient before it was limited. */
        double step(JsonNode step, double maxNorm) {
            named.forEach((name, p) -> {
                try (TensorScope scope = TensorScope.open()) {
                    float[] sum = References.floats(step.get("sums").get(name));
                    p.grad().copyFrom(Tensors.of(sum, p.grad().shape()));
                }
            });
            double norm = parameters.divideAndClip(step.get("tokens").asLong(), maxNorm);
            optimizer.step(step.get("rate").asDouble());
            parameters.refresh();
            parameters.zeroGradients();
            return norm;
        }

        @Override
        public void close() {
            optimizer.close();
            parameters.close();
            named.values().forEach(Parameter::close);
        }
    }

    @ParameterizedTest(name = "seed {0}, {2}")
    @MethodSource("cases")
    void eightSteps_giveWeightsNormsAndStateOfTorch(int seed, int index, OptimType type) {
        JsonNode c = CASES.get(index);
        try (Setup run = new Setup(c, type);
                TensorScope scope = TensorScope.open()) {
            for (JsonNode step : c.get("steps")) {
                assertThat(run.step(step, c.get("max_norm").asDouble()))
                        .isCloseTo(step.get("norm").asDouble(), Percentage.withPercentage(1e-4));
                run.named.forEach((name, p) ->
                        Close.assertClose(
                                name + " after rate " + step.get("rate"),
                                p.value(),
                                Tensors.of(
                                        References.floats(step.get("after").get(name)),
                                        p.master().shape()),
                                1e-6,
                                0));
            }
            Path file = folder.resolve("optimizer.safetensors");
            run.optimizer.save(file);
            Golden saved = Golden.open(file);
            assertThat(saved.names()).hasSize(2 * run.named.size());
            for (String name : run.named.keySet()) {
                for (String key : List.of("exp_avg", "exp_avg_sq")) {
                    Close.assertClose(
                            name + "." + key,
                            saved.tensor(name + "." + key),
                            Tensors.of(
                                    References.floats(c.get("state").get(name).get(key)),
                                    References.longs(c.get("shapes").get(name))),
                            1e-6,
                            1e-30);
                }
            }
        }
    }

    @Test
    void smallParametersOfAnyOptimizer_giveTheSameBits() throws Exception {
        JsonNode c = CASES.get(1);
        List<byte[]> files = new ArrayList<>();
        List<float[]> weights = new ArrayList<>();
        for (OptimType type : OptimType.values()) {
            try (Setup run = new Setup(c, type)) {
                c.get("steps").forEach(step -> run.step(step, 0.3));
                Path file = folder.resolve(type + ".safetensors");
                run.optimizer.save(file);
                files.add(Files.readAllBytes(file));
                run.named.values().forEach(p -> weights.add(p.value().toFloats()));
            }
        }
        assertThat(files).hasSize(4);
        for (byte[] file : files) {
            assertThat(file).isEqualTo(files.get(0));
        }
        for (int i = 3; i < weights.size(); i++) {
            assertThat(weights.get(i)).isEqualTo(weights.get(i % 3));
        }
        try (Stream<Path> left = Files.list(folder)) {
            assertThat(left).as("files of paged state are unlinked").hasSize(4);
        }
    }

    @Test
    void stateLoaded_goesOnWithTheSameBits() {
        JsonNode c = CASES.get(1);
        Path file = folder.resolve("optimizer.safetensors");
        try (Setup whole = new Setup(c, OptimType.ADAMW_TORCH);
                Setup second = new Setup(c, OptimType.PAGED_ADAMW_32BIT)) {
            for (int i = 0; i < c.get("steps").size(); i++) {
                if (i == 4) {
                    whole.optimizer.save(file);
                    second.optimizer.load(file);
                    assertThat(second.optimizer.steps()).isEqualTo(4);
                    whole.named.forEach(
                            (name, p) -> second.named(name).master().copyFrom(p.master()));
                }
                whole.step(c.get("steps").get(i), 0.3);
                if (i >= 4) {
                    second.step(c.get("steps").get(i), 0.3);
                }
            }
            whole.named.forEach((name, p) ->
                    assertThat(second.named(name).value().toFloats())
                            .isEqualTo(p.value().toFloats()));
        }
    }

    @Test
    void stateOfOtherParameters_isOneLine() {
        JsonNode c = CASES.get(0);
        Path file = folder.resolve("optimizer.safetensors");
        try (Setup run = new Setup(c, OptimType.ADAMW_TORCH);
                TensorScope scope = TensorScope.open()) {
            run.optimizer.save(file);
            Parameter other =
                    Parameter.trainable("a", Samples.normal(DType.F32, 1, 5, 3), DType.F32);
            try (TrainableParameters parameters =
                            new TrainableParameters(List.of(other), p -> PLAIN);
                    AdamW optimizer = new AdamW(parameters, OptimConfig.DEFAULT, folder)) {
                assertThatThrownBy(() -> optimizer.load(file))
                        .isInstanceOf(FormatException.class)
                        .hasMessage(
                                "%s holds no a.exp_avg of shape [5, 3]; it belongs to a run with other lora settings",
                                file);
            }
            other.close();
        }
    }

    /** More weights than one chunk holds: the parts must meet without a gap or an overlap. */
    @Test
    void vectorsLongerThanAChunk_areUpdatedEverywhere() {
        int count = (1 << 22) + 3;
        try (TensorScope scope = TensorScope.open()) {
            Parameter decays =
                    Parameter.trainable("w", Tensors.full(1, DType.F32, count), DType.F32);
            Parameter plain =
                    Parameter.trainable("bias", Tensors.full(1, DType.F32, count), DType.F32);
            try (TrainableParameters parameters =
                            new TrainableParameters(
                                    List.of(plain, decays),
                                    p -> p.name().equals("w") ? PLAIN : NO_DECAY);
                    AdamW optimizer =
                            new AdamW(
                                    parameters,
                                    new OptimConfig(OptimType.ADAMW_TORCH, 0.9, 0.999, 1e-8, 0.5),
                                    folder)) {
                decays.grad().fill(2);
                plain.grad().fill(-2);
                assertThat(parameters.gradientNorm())
                        .isCloseTo(2 * Math.sqrt(2.0 * count), Percentage.withPercentage(1e-3));
                optimizer.step(0.1);
                // by hand: the first step moves by the rate, against the sign; decay 1 - 0.1 * 0.5
                assertAll(decays, 0.95f - 0.1f);
                assertAll(plain, 1.1f);
            }
            decays.close();
            plain.close();
        }
    }

    private static void assertAll(Parameter p, float expected) {
        float[] values = p.master().toFloats();
        int wrong = 0;
        for (float value : values) {
            wrong += Math.abs(value - expected) < 1e-6 ? 0 : 1;
        }
        assertThat(wrong).as("%s: values other than %s", p.name(), expected).isZero();
    }
}
