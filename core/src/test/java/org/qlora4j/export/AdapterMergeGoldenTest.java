package org.qlora4j.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.Tape;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.family.Models;
import org.qlora4j.kernel.FourBitLoss;
import org.qlora4j.lora.Combination;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;
import tools.jackson.databind.JsonNode;

/** Merged folders, against the logits that PEFT gives after {@code merge_and_unload}. */
class AdapterMergeGoldenTest {
    private static final QuantConfig PLAIN =
            new QuantConfig(false, QuantType.NF4, true, 64, ComputeDtype.FLOAT32);
    private static final QuantConfig NF4 =
            new QuantConfig(true, QuantType.NF4, true, 64, ComputeDtype.FLOAT32);

    @TempDir Path folder;

    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
    }

    private static Path adapters() {
        return Golden.folder().resolve("adapters");
    }

    private static AdapterMerge merge(String adapter, QuantConfig trainedWith) {
        return new AdapterMerge(
                ModelPlace.of(adapters().resolve("base")),
                AdapterMix.of(adapters().resolve(adapter)),
                null,
                trainedWith,
                null);
    }

    private static Tensor logits(CausalModel model, Tensor ids) {
        int batch = (int) ids.size(0);
        int time = (int) ids.size(1);
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.inference();
                BatchContext seen = BatchContext.of(batch, time)) {
            Tensor hidden = model.hidden(tape, ids, seen, false).value();
            return scope.promote(model.logits(hidden).view(batch, time, model.vocabularySize()));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"lora", "rslora", "patterns", "layers", "dora", "embeddings"})
    void mergedIntoOriginal_givesTheLogitsOfPeft(String name) throws IOException {
        Path out = folder.resolve("out");
        long before = NativeMemory.liveBytes();
        AdapterMerge.Result result = merge(name, NF4).write(MergeTarget.ORIGINAL, out);
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
        assertThat(result.type()).isEqualTo("float32");
        assertThat(result.loss().kept()).isBetween(0.999999, 1.000001);
        Golden golden = Golden.open(adapters().resolve(name).resolve("expected.safetensors"));
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(out, PLAIN, DType.F32)) {
            Tensor logits = logits(model, golden.tensor("input_ids"));
            Close.assertClose("logits", logits, golden.tensor("merged_logits"), 0, 1e-4);
        }
        JsonNode config = Golden.json(out.resolve("config.json"));
        JsonNode base = Golden.json(adapters().resolve("base/config.json"));
        assertThat(config).isEqualTo(base);
    }

    /** The base in 4 bits with the adapter beside it is what the merged weights must compute. */
    @ParameterizedTest
    @ValueSource(strings = {"lora", "dora", "embeddings"})
    void mergedIntoDequantized_isBaseIn4BitsWithAdapter(String name) {
        Path out = folder.resolve("out");
        merge(name, NF4).write(MergeTarget.DEQUANTIZED, out);
        Golden golden = Golden.open(adapters().resolve(name).resolve("expected.safetensors"));
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(out, PLAIN, DType.F32);
                MergedModels.Adapted adapted = MergedModels.adapted(merge(name, NF4))) {
            Tensor ids = golden.tensor("input_ids");
            Tensor expected = logits(adapted.model(), ids);
            Close.assertClose("logits", logits(model, ids), expected, FourBitLoss.ofModel(0), 1e-4);
        }
    }

    /**
     * Merging what was stored in 4 bits decodes it: the result is bitsandbytes' model and adapter.
     */
    @Test
    void mergedBaseOfBitsandbytes_isDecoded() {
        Path out = folder.resolve("out");
        Path in4bits = Golden.folder().resolve("bnb/nf4-dq");
        AdapterMerge merge =
                new AdapterMerge(
                        ModelPlace.of(in4bits),
                        AdapterMix.of(adapters().resolve("lora")),
                        null,
                        NF4,
                        null);
        merge.write(MergeTarget.ORIGINAL, out);
        assertThat(Golden.json(out.resolve("config.json")).has("quantization_config")).isFalse();
        Golden golden = Golden.open(adapters().resolve("lora/expected.safetensors"));
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(out, PLAIN, DType.F32);
                MergedModels.Adapted adapted = MergedModels.adapted(merge)) {
            Tensor ids = golden.tensor("input_ids");
            Tensor expected = logits(adapted.model(), ids);
            Close.assertClose("logits", logits(model, ids), expected, FourBitLoss.ofModel(0), 1e-4);
        }
    }

    @Test
    void mergedIntoNf4_isReadAsBitsandbytesLayoutAndSaysWhatItLost() {
        Path out = folder.resolve("out");
        AdapterMerge.Result result = merge("lora", NF4).write(MergeTarget.NF4, out);
        assertThat(result.type()).isEqualTo("nf4");
        // the golden adapters change the weights a lot; nf4 is off by some eight percent of them
        assertThat(result.loss().noise()).isBetween(0.01, 10.0);
        JsonNode quantization = Golden.json(out.resolve("config.json")).get("quantization_config");
        JsonNode theirs =
                Golden.json(Golden.folder().resolve("bnb/nf4-dq/config.json"))
                        .get("quantization_config");
        quantization.forEachEntry(
                (key, value) -> assertThat(theirs.get(key)).as(key).isEqualTo(value));
        Path original = folder.resolve("original");
        merge("lora", PLAIN).write(MergeTarget.ORIGINAL, original);
        Path packed = folder.resolve("packed");
        ModelFolder.quantize(original, NF4, packed);
        // of an unquantized base the same weights come out as of merging first, quantizing then
        Path direct = folder.resolve("direct");
        new AdapterMerge(
                        ModelPlace.of(adapters().resolve("base")),
                        AdapterMix.of(adapters().resolve("lora")),
                        null,
                        PLAIN,
                        null)
                .write(MergeTarget.NF4, direct);
        assertThat(direct.resolve("model.safetensors"))
                .hasSameBinaryContentAs(packed.resolve("model.safetensors"));
        try (CausalModel model = Models.load(out, NF4, DType.F32)) {
            assertThat(model.parameterCount()).isPositive();
        }
    }

    @Test
    void adapterOfAnotherModel_isRefusedAndLeavesNothing() {
        Path out = folder.resolve("out");
        AdapterMerge merge =
                new AdapterMerge(
                        ModelPlace.of(Golden.folder().resolve("families/llama-tied-mha")),
                        AdapterMix.of(adapters().resolve("lora")),
                        null,
                        NF4,
                        null);
        assertThatThrownBy(() -> merge.write(MergeTarget.ORIGINAL, out))
                .isInstanceOf(FormatException.class)
                .hasMessageNotContaining("\n");
        assertThat(folder).isEmptyDirectory();
    }

    /** PEFT's adapters on all linears of each family, those of GPT-2 stored [in, out]. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "gemma",
                "gemma2",
                "gemma3",
                "mistral-sliding",
                "phi3",
                "qwen2",
                "qwen3",
                "gpt2",
                "gpt-neox"
            })
    void adapterOfEachFamily_givesTheLogitsOfPeft(String family) throws IOException {
        Path adapter = Path.of("src/test/resources/org/qlora4j/family/adapters").resolve(family);
        Path base = Golden.folder().resolve("families").resolve(family);
        Path out = folder.resolve("out");
        new AdapterMerge(ModelPlace.of(base), AdapterMix.of(adapter), null, PLAIN, null)
                .write(MergeTarget.ORIGINAL, out);
        Golden golden = Golden.open(adapter.resolve("expected.safetensors"));
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(out, PLAIN, DType.F32)) {
            Tensor logits = logits(model, golden.tensor("ids"));
            Tensor expected = golden.tensor("logits");
            Close.assertClose("logits", logits.view(expected.shape()), expected, 0, 1e-4);
        }
    }

    /** Conv1D's weights are rounded as training has them, [out, in], and stored [in, out]. */
    @ParameterizedTest
    @ValueSource(strings = {"gpt2", "phi3"})
    void mergedIntoDequantized_isWhatTrainingSaw(String family) {
        Path adapter = Path.of("src/test/resources/org/qlora4j/family/adapters").resolve(family);
        Path base = Golden.folder().resolve("families").resolve(family);
        AdapterMerge merge =
                new AdapterMerge(ModelPlace.of(base), AdapterMix.of(adapter), null, NF4, null);
        Path out = folder.resolve("out");
        merge.write(MergeTarget.DEQUANTIZED, out);
        Golden golden = Golden.open(adapter.resolve("expected.safetensors"));
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(out, PLAIN, DType.F32);
                MergedModels.Adapted trained = MergedModels.adapted(merge)) {
            Tensor ids = golden.tensor("ids");
            Tensor expected = logits(trained.model(), ids);
            Close.assertClose("logits", logits(model, ids), expected, FourBitLoss.ofModel(0), 1e-4);
        }
    }

    /** PEFT's add_weighted_adapter (make_combined_adapters.py). */
    @Test
    void severalAdapters_giveTheLogitsOfPeft() throws IOException {
        JsonNode expected =
                Golden.json(Path.of("src/test/resources/org/qlora4j/export/combined.json"));
        int number = 0;
        for (JsonNode one : expected.get("cases")) {
            AdapterMix mix =
                    new AdapterMix(
                            one.get("adapters")
                                    .valueStream()
                                    .map(name -> adapters().resolve(name.asString()))
                                    .toList(),
                            one.get("weights").valueStream().map(JsonNode::asDouble).toList(),
                            Combination.of(one.get("combine").asString()),
                            one.get("density").asDouble(1));
            Path out = folder.resolve("out" + number++);
            new AdapterMerge(ModelPlace.of(adapters().resolve("base")), mix, null, PLAIN, null)
                    .write(MergeTarget.ORIGINAL, out);
            try (TensorScope scope = TensorScope.open();
                    CausalModel model = Models.load(out, PLAIN, DType.F32)) {
                int[] ids = expected.get("ids").valueStream().mapToInt(JsonNode::asInt).toArray();
                Tensor input = Tensors.of(ids, 1, ids.length).to(DType.I64);
                Tensor last = logits(model, input).select(1, ids.length - 1L);
                float[] wanted = new float[model.vocabularySize()];
                for (int i = 0; i < wanted.length; i++) {
                    wanted[i] = (float) one.get("logits").get(i).asDouble();
                }
                Close.assertClose(
                        "case " + number, last, Tensors.of(wanted, 1, wanted.length), 0, 1e-4);
            }
        }
        assertThat(number).isEqualTo(7);
    }

    @Test
    void combinationWithoutMeaning_isRefused() {
        Path dora = adapters().resolve("dora");
        List<Path> both = List.of(dora, adapters().resolve("lora"));
        AdapterMerge merge =
                new AdapterMerge(
                        ModelPlace.of(adapters().resolve("base")),
                        new AdapterMix(both, List.of(1.0, 1.0), Combination.TIES, 0.5),
                        null,
                        PLAIN,
                        null);
        assertThatThrownBy(() -> merge.write(MergeTarget.ORIGINAL, folder.resolve("out")))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("combined by --combine cat");
        assertThatThrownBy(() -> new AdapterMix(both, List.of(1.0), Combination.CAT, 0.5))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("got 1 numbers for 2 adapters");
    }

    /** The folder has what PEFT and the hub read, and nothing by which a run goes on. */
    @Test
    void adapterCopy_hasFilesAndACard() throws IOException {
        Path out = folder.resolve("out");
        assertThat(
                        AdapterCopy.write(
                                ModelPlace.of(adapters().resolve("base")),
                                adapters().resolve("dora"),
                                out))
                .containsExactly("adapter_config.json", "adapter_model.safetensors", "README.md");
        assertThat(out.resolve("adapter_model.safetensors"))
                .hasSameBinaryContentAs(adapters().resolve("dora/adapter_model.safetensors"));
    }

    @Test
    void existingFolder_isNotTouched() throws IOException {
        Files.writeString(folder.resolve("mine"), "text");
        assertThatThrownBy(() -> merge("lora", NF4).write(MergeTarget.ORIGINAL, folder))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("exists; name a new folder");
        assertThat(folder.resolve("mine")).hasContent("text");
    }
}
