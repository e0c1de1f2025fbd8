package org.qlora4j.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
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
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
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
                adapters().resolve(adapter),
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
            Close.assertClose("logits", logits(model, ids), expected, 0, 1e-4);
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
                        ModelPlace.of(in4bits), adapters().resolve("lora"), null, NF4, null);
        merge.write(MergeTarget.ORIGINAL, out);
        assertThat(Golden.json(out.resolve("config.json")).has("quantization_config")).isFalse();
        Golden golden = Golden.open(adapters().resolve("lora/expected.safetensors"));
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(out, PLAIN, DType.F32);
                MergedModels.Adapted adapted = MergedModels.adapted(merge)) {
            Tensor ids = golden.tensor("input_ids");
            Tensor expected = logits(adapted.model(), ids);
            Close.assertClose("logits", logits(model, ids), expected, 0, 1e-4);
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
                        adapters().resolve("lora"),
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
                        adapters().resolve("lora"),
                        null,
                        NF4,
                        null);
        assertThatThrownBy(() -> merge.write(MergeTarget.ORIGINAL, out))
                .isInstanceOf(FormatException.class)
                .hasMessageNotContaining("\n");
        assertThat(folder).isEmptyDirectory();
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
