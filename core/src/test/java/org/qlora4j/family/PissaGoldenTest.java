package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.LoraFactors;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.lora.LinearLayer;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.lora.LoraInit;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.lora.PrincipalParts;
import org.qlora4j.lora.TargetModules;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.optim.AdamW;
import org.qlora4j.optim.OptimConfig;
import org.qlora4j.optim.ParameterGroup;
import org.qlora4j.optim.TrainableParameters;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;

/** PiSSA against PEFT: where it starts, how it learns, and the plain adapter it is saved as. */
class PissaGoldenTest {
    private static final List<String> PATHS =
            List.of("model.layers.0.self_attn.k_proj", "model.layers.1.mlp.down_proj");

    @TempDir Path folder;
    private Golden peft;
    private Path base;
    private long liveBefore;

    @BeforeEach
    void open() throws URISyntaxException {
        base = Golden.folder().resolve("adapters/base");
        var file = PissaGoldenTest.class.getResource("/org/qlora4j/lora/pissa.safetensors");
        peft = Golden.open(Path.of(Objects.requireNonNull(file).toURI()));
        liveBefore = NativeMemory.liveBytes();
    }

    @AfterEach
    void everythingIsFreed() {
        assertThat(NativeMemory.liveBytes()).isEqualTo(liveBefore);
    }

    private static LoraConfig config(LoraInit init, int rank, boolean rslora) {
        return new LoraConfig(
                rank,
                8,
                0,
                new TargetModules.AllLinear(),
                null,
                rslora,
                Map.of(),
                Map.of(),
                null,
                init,
                false,
                null);
    }

    private CausalModel model(QuantConfig quantization, DType compute, LoraConfig lora) {
        var parts = PrincipalParts.of(lora, compute, 1, null);
        return Models.load(ModelPlace.of(base), quantization, compute, false, parts);
    }

    private static LoraAdapter adapter(LoraConfig lora, CausalModel model) {
        return LoraAdapter.create(lora, model.linears(), model.parameters(), model.compute(), 1);
    }

    private static LinearLayer linear(CausalModel model, String path) {
        return model.linears().stream()
                .filter(l -> l.path().equals(path))
                .findFirst()
                .orElseThrow();
    }

    private Tensor logits(CausalModel model) {
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.inference();
                BatchContext seen = BatchContext.of(2, 12)) {
            Var hidden = model.hidden(tape, peft.tensor("input_ids"), seen, false);
            Tensor logits = model.logits(hidden.value()).view(2, 12, model.vocabularySize());
            return scope.promote(logits.copy());
        }
    }

    @ParameterizedTest
    @CsvSource({"plain, false", "rslora, true"})
    void training_goesAsInPeftAndIsSavedAsItsPlainAdapter(String name, boolean rslora) {
        LoraConfig lora = config(new LoraInit.Pissa(null), 4, rslora);
        try (TensorScope scope = TensorScope.open();
                CausalModel model = model(FamilyGoldenTest.NOT_QUANTIZED, DType.F32, lora);
                LoraAdapter adapter = adapter(lora, model)) {
            for (String path : PATHS) {
                Tensor expected = peft.tensor(name + ".residual." + path);
                Close.assertClose(
                        path, linear(model, path).weight().dense(DType.F32), expected, 1e-5, 0);
            }
            float[] losses = peft.tensor(name + ".losses").toFloats();
            int[] labels = FamilyGoldenTest.shifted(peft.tensor("input_ids").toLongs(), 2, 12);
            try (TrainableParameters parameters =
                            new TrainableParameters(
                                    adapter.parameters(), p -> ParameterGroup.of(p, null));
                    AdamW optimizer = new AdamW(parameters, OptimConfig.DEFAULT, folder)) {
                for (float expected : losses) {
                    assertThat(step(model, labels, parameters, optimizer))
                            .isCloseTo(expected, Offset.offset(2e-5));
                }
            }
            Tensor trained = logits(model);
            Close.assertClose("logits", trained, peft.tensor(name + ".logits"), 1e-4, 0);
            PeftAdapter.save(adapter, folder, null);
        }
        try (TensorScope scope = TensorScope.open();
                CausalModel plain = Models.load(base, FamilyGoldenTest.NOT_QUANTIZED, DType.F32);
                LoraAdapter saved =
                        PeftAdapter.load(folder, plain.linears(), plain.parameters(), DType.F32)) {
            assertThat(saved.config().r()).isEqualTo(8);
            assertThat(saved.config().scalingOf(PATHS.getFirst()))
                    .isCloseTo(lora.scalingOf(PATHS.getFirst()), Offset.offset(1e-12));
            for (String path : PATHS) {
                LoraFactors update = Objects.requireNonNull(linear(plain, path).update()).lora();
                Tensor delta = update.b().value().mm(update.a().value()).times(update.scale());
                Close.assertClose(path, delta, peft.tensor(name + ".delta." + path), 1e-3, 0);
            }
            Close.assertClose("logits", logits(plain), peft.tensor(name + ".logits"), 1e-4, 0);
            saved.mergeInto(DType.F32);
            Close.assertClose("merged", logits(plain), peft.tensor(name + ".logits"), 1e-4, 0);
        }
    }

    /** The mean loss before the step. */
    private double step(
            CausalModel model, int[] labels, TrainableParameters parameters, AdamW optimizer) {
        int count = 2 * 11;
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.recording(1);
                BatchContext seen = BatchContext.of(2, 12)) {
            Var hidden = model.hidden(tape, peft.tensor("input_ids"), seen, false);
            Var loss = CrossEntropy.sum(tape, hidden, model.head(), labels);
            double value = loss.value().item() / count;
            tape.backward(loss);
            parameters.divideAndClip(count, 0);
            optimizer.step(1e-2);
            parameters.refresh();
            parameters.zeroGradients();
            return value;
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2, 16})
    void randomized_leavesAsMuchAsPefts(int iterations) {
        LoraConfig lora = config(new LoraInit.Pissa(iterations), 4, false);
        try (TensorScope scope = TensorScope.open();
                CausalModel model = model(FamilyGoldenTest.NOT_QUANTIZED, DType.F32, lora)) {
            float[] norms = peft.tensor("residual_norms.pissa_niter_" + iterations).toFloats();
            float[] least = peft.tensor("residual_norms.pissa").toFloats();
            for (int p = 0; p < PATHS.size(); p++) {
                Tensor rest = linear(model, PATHS.get(p)).weight().dense(DType.F32);
                double norm = Math.sqrt(rest.square().sum().item());
                double mean = 0;
                double most = 0;
                for (int seed = 0; seed < 10; seed++) {
                    mean += norms[2 * seed + p] / 10;
                    most = Math.max(most, norms[2 * seed + p]);
                }
                double spread = Math.max(most - mean, 1e-4 * mean);
                assertThat(norm).isBetween(least[p] * (1 - 1e-6), mean + 3 * spread);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"F32, 2e-5", "BF16, 0.1"})
    void attachedOrNot_theModelIsTheCheckpoints(DType compute, double tolerance) {
        LoraConfig lora = config(new LoraInit.Pissa(null), 4, false);
        try (TensorScope scope = TensorScope.open();
                CausalModel plain = Models.load(base, FamilyGoldenTest.NOT_QUANTIZED, compute);
                CausalModel model = model(FamilyGoldenTest.NOT_QUANTIZED, compute, lora)) {
            Tensor expected = logits(plain).to(DType.F32);
            Tensor without = logits(model).to(DType.F32);
            Close.assertClose("without adapter", without, expected, tolerance, 0);
            try (LoraAdapter adapter = adapter(lora, model)) {
                float[] started = logits(model).to(DType.F32).toFloats();
                assertThat(started).isEqualTo(without.toFloats());
                adapter.parameters().forEach(p -> p.master().fill(0));
                adapter.parameters().forEach(org.qlora4j.autograd.Parameter::refresh);
                assertThat(logits(model).to(DType.F32).toFloats()).isNotEqualTo(started);
                adapter.detach();
                assertThat(logits(model).to(DType.F32).toFloats()).isEqualTo(started);
            }
            assertThat(logits(model).to(DType.F32).toFloats()).isEqualTo(without.toFloats());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"F32", "BF16"})
    void in4Bits_theResidualIsQuantized(DType compute) {
        LoraConfig lora = config(new LoraInit.Pissa(null), 8, false);
        try (TensorScope scope = TensorScope.open();
                CausalModel whole = Models.load(base, FamilyGoldenTest.NOT_QUANTIZED, DType.F32);
                CausalModel model = model(QuantConfig.DEFAULT, compute, lora)) {
            for (String path : PATHS) {
                Tensor w = linear(whole, path).weight().dense(DType.F32);
                LoraFactors part = Objects.requireNonNull(linear(model, path).principal());
                Tensor a = part.a().value().to(DType.F32);
                Tensor b = part.b().value().to(DType.F32);
                assertThat(part.a().value().dtype()).isEqualTo(compute);
                Tensor rest = w.minus(b.mm(a).times(part.scale()));
                try (QuantizedMatrix expected =
                        QuantizedMatrix.quantize(rest, QuantConfig.DEFAULT)) {
                    Tensor dense = expected.dequantize(DType.F32);
                    Tensor actual = linear(model, path).weight().dense(compute).to(DType.F32);
                    // sums in another order may bring a value over the bound between two codes
                    double wrong = actual.minus(dense).square().sum().item();
                    assertThat(wrong).isLessThan(1e-4 * dense.square().sum().item());
                }
            }
        }
    }

    @Test
    void whatCannotBeTakenApart_isOneLine() {
        LoraConfig large = config(new LoraInit.Pissa(4), 64, false);
        assertThatThrownBy(() -> model(QuantConfig.DEFAULT, DType.F32, large).close())
                .isInstanceOf(ConfigException.class)
                .hasMessage(
                        "lora.r is 64, but model.layers.0.self_attn.k_proj [32, 64] has only 32 singular values, and"
                                + " pissa needs one for each; lower it, or set lora.rank_pattern for this layer");
        LoraConfig small = config(new LoraInit.Pissa(4), 4, false);
        base = Golden.folder().resolve("bnb/nf4-dq");
        assertThatThrownBy(() -> model(QuantConfig.DEFAULT, DType.F32, small).close())
                .isInstanceOf(ConfigException.class)
                .hasMessage(
                        "lora.init_lora_weights is pissa_niter_4, but %s holds"
                                + " model.layers.0.self_attn.q_proj.weight in few bits already; name the checkpoint it was"
                                + " quantized from",
                        base);
    }

    @Test
    void adapterThatStandsOnAChangedBase_isRefused() throws Exception {
        Path source = base.resolveSibling("lora");
        Files.copy(
                source.resolve("adapter_model.safetensors"),
                folder.resolve("adapter_model.safetensors"));
        String config = Files.readString(source.resolve("adapter_config.json"));
        Path file = folder.resolve("adapter_config.json");
        Files.writeString(
                file,
                config.replace(
                        "\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa_niter_4\""));
        try (CausalModel plain = Models.load(base, FamilyGoldenTest.NOT_QUANTIZED, DType.F32)) {
            assertThatThrownBy(() ->
                            PeftAdapter.load(
                                    folder, plain.linears(), plain.parameters(), DType.F32))
                    .isInstanceOf(FormatException.class)
                    .hasMessage(
                            file
                                    + ": init_lora_weights is pissa_niter_4, so its factors belong to a base that was changed"
                                    + " at the start; save it from PEFT with path_initial_model_for_weight_conversion");
        }
    }
}
