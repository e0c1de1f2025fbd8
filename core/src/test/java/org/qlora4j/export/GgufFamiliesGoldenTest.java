package org.qlora4j.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.Tape;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.GgufFile;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.Families;
import org.qlora4j.family.GgufFolder;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.LoadedModel;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.TinyLlama;

/**
 * Each family as a GGUF file, read from the file alone, against transformers' logits of the model
 * that it was made of. That llama.cpp gives the same, check_gguf_families.py shows.
 */
class GgufFamiliesGoldenTest {
    private static final QuantConfig PLAIN =
            new QuantConfig(false, QuantType.NF4, false, 64, ComputeDtype.FLOAT32);

    @TempDir Path folder;

    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
    }

    /** A copy of a family's model, which has no tokenizer, with that of another. */
    private Path model(String family) throws IOException {
        Path model = Files.createDirectory(folder.resolve(family));
        Path golden = Golden.folder().resolve("families").resolve(family);
        for (String name : List.of("config.json", "model.safetensors")) {
            Files.copy(golden.resolve(name), model.resolve(name));
        }
        for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
            Files.copy(TinyLlama.folder().resolve(name), model.resolve(name));
        }
        return model;
    }

    private static ModelExport export(Path model) {
        AdapterMerge source = new AdapterMerge(ModelPlace.of(model), null, null, PLAIN, null);
        return new ModelExport(source, MergeTarget.ORIGINAL, List.of(), List.of());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "llama",
                "llama-tied-mha",
                "llama3-rope",
                "llama-linear-rope",
                "qwen2",
                "qwen3",
                "gemma",
                "gemma2",
                "gemma3",
                "phi3",
                "gpt2",
                "gpt-neox"
            })
    void exportedFamily_givesTheLogitsOfTransformers(String family) throws IOException {
        Path out = folder.resolve(family + ".gguf");
        ModelExport.Result result = export(model(family)).gguf(GgufFormat.F32, out, false);
        assertThat(result.differences()).isEmpty();
        Path read = Files.createDirectory(folder.resolve("read"));
        GgufFolder.write(out, read);
        Golden golden =
                Golden.open(
                        Golden.folder()
                                .resolve("families")
                                .resolve(family)
                                .resolve("expected.safetensors"));
        try (GgufFile file = GgufFile.open(out)) { // llama.cpp takes phi3 for what tokens do
            assertThat(file.string("general.name")).isEqualTo(family.replace("phi3", "Phi 3"));
        }
        try (TensorScope scope = TensorScope.open();
                Checkpoint weights = Checkpoint.open(out);
                CausalModel exported =
                        LoadedModel.read(
                                Families.shape(read), weights, PLAIN, DType.F32, false, null);
                Tape tape = Tape.inference()) {
            Tensor ids = golden.tensor("input_ids");
            int batch = (int) ids.size(0);
            int time = (int) ids.size(1);
            long[] mask = golden.tensor("attention_mask").toLongs();
            byte[] attends = new byte[mask.length];
            for (int i = 0; i < mask.length; i++) {
                attends[i] = (byte) mask[i];
            }
            try (BatchContext seen = BatchContext.padded(batch, time, attends)) {
                Tensor hidden = exported.hidden(tape, ids, seen, false).value();
                Tensor real = golden.tensor("attention_mask").view(batch, time, 1).to(DType.F32);
                Close.assertClose(
                        "logits",
                        exported.logits(hidden)
                                .view(batch, time, exported.vocabularySize())
                                .times(real),
                        golden.tensor("logits").times(real),
                        0,
                        1e-4);
            }
        }
    }

    /** llama.cpp has no window for Mistral; the file says nothing of it, but the export does. */
    @Test
    void windowWithoutAKey_isSaid() throws IOException {
        Path out = folder.resolve("out.gguf");
        ModelExport.Result result =
                export(model("mistral-sliding")).gguf(GgufFormat.F16, out, true);
        assertThat(result.notices()).anyMatch(line -> line.contains("window of 7 positions"));
    }

    @Test
    void familyWithoutAForm_isRefused() throws IOException {
        ModelExport opt = export(model("opt"));
        assertThatThrownBy(() -> opt.gguf(GgufFormat.F16, folder.resolve("out.gguf"), false))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("models of type opt are not written as GGUF");
        try (Stream<Path> left = Files.list(folder)) {
            assertThat(left).hasSize(1);
        }
    }
}
