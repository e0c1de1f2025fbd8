package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Tape;
import org.qlora4j.checkpoint.SafetensorsFile;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.export.ModelFolder;
import org.qlora4j.export.ShrinkConfig;
import org.qlora4j.export.Shrinker;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;

/** What GPT-2, GPT-NeoX and OPT have of their own besides their {@link FamilyGoldenTest}. */
class ClassicFamiliesTest {
    @TempDir Path folder;

    private static Path golden(String family) {
        return Golden.folder().resolve("families").resolve(family);
    }

    private static CausalModel load(Path path, boolean trainable) {
        return Models.load(path, FamilyGoldenTest.NOT_QUANTIZED, DType.F32, trainable);
    }

    /**
     * The same tensors as transformers wrote, those of Conv1D [in, out] and heads by their names.
     */
    @ParameterizedTest
    @ValueSource(strings = {"gpt2", "gpt-neox", "opt"})
    void writtenModel_hasTheTensorsOfTheCheckpoint(String family) {
        try (CausalModel model = load(golden(family), true)) {
            ModelFolder.write(model, golden(family), folder);
            boolean tied = !family.equals("gpt-neox");
            assertThat(flag("config.json", "tie_word_embeddings")).isEqualTo(tied);
            try (SafetensorsFile theirs = file(golden(family));
                    SafetensorsFile ours = file(folder);
                    TensorScope scope = TensorScope.open()) {
                assertThat(ours.names()).containsExactlyInAnyOrderElementsOf(theirs.names());
                for (String name : theirs.names()) {
                    Tensor expected = TensorBytes.toTensor(theirs.tensor(name));
                    Tensor actual = TensorBytes.toTensor(ours.tensor(name));
                    Close.assertClose(name, actual, expected, 0, 0);
                }
            }
            for (Parameter p : model.parameters()) {
                p.master().zero();
            }
            ModelFolder.restore(model, folder);
            assertSameLogits(family, model);
        }
    }

    private boolean flag(String file, String key) {
        return Golden.json(folder.resolve(file)).get(key).asBoolean();
    }

    private static SafetensorsFile file(Path folder) {
        return SafetensorsFile.open(folder.resolve("model.safetensors"));
    }

    private static void assertSameLogits(String family, CausalModel model) {
        Golden golden = Golden.open(golden(family).resolve("expected.safetensors"));
        try (TensorScope scope = TensorScope.open();
                BatchContext seen = BatchContext.of(1, 24);
                Tape tape = Tape.inference()) {
            Tensor ids = golden.tensor("input_ids").narrow(0, 0, 1);
            Tensor logits = model.logits(model.hidden(tape, ids, seen, false).value());
            Close.assertClose("logits", logits, golden.tensor("logits").select(0, 0), 0, 1e-4);
        }
    }

    /**
     * Files of the model below the head have names without its first part, as gpt2's on the hub.
     */
    @ParameterizedTest
    @CsvSource({"gpt2, transformer.", "opt, model."})
    void namesWithoutTheirFirstPart_areFound(String family, String prefix) throws Exception {
        Files.copy(golden(family).resolve("config.json"), folder.resolve("config.json"));
        try (SafetensorsFile whole = file(golden(family));
                Arena arena = Arena.ofConfined();
                TensorScope scope = TensorScope.open()) {
            SafetensorsWriter writer = new SafetensorsWriter(Map.of());
            for (String name : whole.names()) {
                String bare = name.substring(prefix.length());
                TensorBytes.add(writer, bare, TensorBytes.toTensor(whole.tensor(name)), arena);
            }
            writer.write(folder.resolve("model.safetensors"));
        }
        try (CausalModel model = load(folder, false)) {
            assertSameLogits(family, model);
        }
    }

    /**
     * PEFT says fan_in_fan_out of transposed weights; factors are [r, in] and [out, r] all the
     * same.
     */
    @Test
    void adapterOfConv1d_saysFanInFanOutAndIsReadBack() {
        LoraConfig lora = LoraConfig.DEFAULT.withRank(4, 8);
        try (CausalModel model = load(golden("gpt2"), false);
                LoraAdapter adapter =
                        LoraAdapter.create(
                                lora, model.linears(), model.parameters(), DType.F32, 1)) {
            PeftAdapter.save(adapter, folder, "gpt2");
            assertThat(flag("adapter_config.json", "fan_in_fan_out")).isTrue();
            adapter.detach();
            try (LoraAdapter read =
                    PeftAdapter.load(folder, model.linears(), model.parameters(), DType.F32)) {
                assertThat(read.updates()).hasSize(8);
                var first = read.updates().values().iterator().next().lora();
                assertThat(first.a().shape()).containsExactly(4, 32);
                assertThat(first.b().shape()).containsExactly(96, 4);
            }
        }
    }

    /** In 4 bits bitsandbytes has [out, in], as has every other linear. */
    @Test
    void quantizedConv1d_isReadBackAsItWasWritten() {
        Path out = folder.resolve("out");
        ModelFolder.quantize(golden("gpt2"), QuantConfig.DEFAULT, out);
        try (TensorScope scope = TensorScope.open();
                CausalModel first = Models.load(golden("gpt2"), QuantConfig.DEFAULT, DType.F32);
                CausalModel again = Models.load(out, QuantConfig.DEFAULT, DType.F32)) {
            for (int i = 0; i < first.linears().size(); i++) {
                Tensor expected = first.linears().get(i).weight().dense(DType.F32).copy();
                Tensor actual = again.linears().get(i).weight().dense(DType.F32);
                Close.assertClose(first.linears().get(i).path(), actual, expected, 0, 0);
            }
        }
    }

    /** What an adapter is merged into is written as the checkpoint has it. */
    @Test
    void mergedConv1d_isWrittenTransposedAgain() {
        LoraConfig lora = LoraConfig.DEFAULT.withRank(4, 8);
        try (CausalModel model = Models.load(golden("gpt2"), QuantConfig.DEFAULT, DType.F32);
                TensorScope scope = TensorScope.open()) {
            try (LoraAdapter adapter =
                    LoraAdapter.create(lora, model.linears(), model.parameters(), DType.F32, 1)) {
                adapter.mergeInto(DType.F32);
            }
            ModelFolder.write(model, golden("gpt2"), folder);
            try (SafetensorsFile ours = file(folder)) {
                String name = "transformer.h.0.attn.c_proj.weight"; // square: no size would tell
                Tensor written = TensorBytes.toTensor(ours.tensor(name));
                Tensor held = model.linears().get(1).weight().dense(DType.F32);
                Close.assertClose(name, written, held.t().contiguous(), 0, 0);
            }
        }
    }

    @Test
    void textBeyondTheLearntPositions_isRefused() {
        try (CausalModel model = load(golden("gpt2"), false);
                TensorScope scope = TensorScope.open();
                BatchContext seen = BatchContext.of(1, 65);
                Tape tape = Tape.inference()) {
            Tensor ids = Tensors.zeros(DType.I64, 1, 65);
            assertThatThrownBy(() -> model.hidden(tape, ids, seen, false))
                    .isInstanceOf(ConfigException.class)
                    .hasMessage(
                            "a text of 65 tokens is too long for this model, which has learnt 64 positions; shorten it"
                                    + " (training: data.source_max_len, data.target_max_len)");
        }
    }

    static Stream<Object[]> refused() {
        return Stream.of(
                new Object[] {
                    "opt", "\"word_embed_proj_dim\":32", "\"word_embed_proj_dim\":16", "opt-350m"
                },
                new Object[] {
                    "gpt2",
                    "\"activation_function\":\"gelu_new\"",
                    "\"activation_function\":\"mish\"",
                    "activation_function \"mish\" is not supported; supported: gelu, gelu_new,"
                },
                new Object[] {
                    "gpt2",
                    "\"add_cross_attention\":false",
                    "\"add_cross_attention\":true",
                    "add_cross_attention true is not supported for models of type gpt2"
                },
                new Object[] {
                    "gpt-neox",
                    "\"partial_rotary_factor\":0.25",
                    "\"partial_rotary_factor\":0.2",
                    "partial_rotary_factor 0.2 turns 1 of the 8 places of a head"
                });
    }

    @ParameterizedTest(name = "{0}: {2}")
    @MethodSource("refused")
    void whatAFamilyCannotDo_isRefusedByItsKey(
            String family, String has, String wanted, String message) throws Exception {
        String config = Files.readString(golden(family).resolve("config.json"));
        String compact = config.replaceAll("\\s+", "");
        assertThat(compact).contains(has);
        Path file = folder.resolve("config.json");
        Files.writeString(file, compact.replace(has, wanted));
        assertThatThrownBy(() -> Families.shape(folder))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith(file + ": ")
                .hasMessageContaining(message)
                .hasMessageNotContaining("\n");
    }

    /** What would be cut where is known of LLaMA's layers alone. */
    @ParameterizedTest
    @CsvSource({
        "gpt2, gpt2",
        "gpt-neox, gpt_neox",
        "opt, opt",
        "t5, t5",
        "roberta-classifier, roberta"
    })
    void shrink_saysThatItDoesNotKnowTheLayers(String family, String type) {
        ShrinkConfig two = new ShrinkConfig(null, List.of(0), null, null);
        Path model = golden(family); // skips where it is not there, which the assertion would catch
        assertThatThrownBy(() -> Shrinker.shrink(model, two, folder.resolve("out")))
                .isInstanceOf(ConfigException.class)
                .hasMessageStartingWith("models of type " + type + " cannot be shrunk");
    }

    /** As many weights as the models' papers and cards say. */
    @ParameterizedTest
    @CsvSource({
        "pythia-410m, 405334016",
        "opt-1.3b, 1315758080",
        "gpt2, 124439808",
        "flan-t5-base, 247577856",
        "flan-t5-xl, 2849757184",
        "roberta-base, 124647170"
    })
    void namedShapes_haveTheWeightsOfTheirModels(String name, long weights) {
        assertThat(NamedShapes.named(name).orElseThrow().parameterCount()).isEqualTo(weights);
    }
}
