package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.TreeSet;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;
import tools.jackson.databind.JsonNode;

/** Adapters of PEFT: what they compute, their gradients, merging, and their files written again. */
class AdapterGoldenTest {
    @TempDir Path temporary;

    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
    }

    private static Path adapters() {
        return Golden.folder().resolve("adapters");
    }

    @ParameterizedTest
    @ValueSource(strings = {"lora", "rslora", "patterns", "layers", "dora", "embeddings"})
    void adapter_givesLogitsGradientsAndMergedLogitsOfPeft(String name) {
        Golden golden = Golden.open(adapters().resolve(name).resolve("expected.safetensors"));
        long before = NativeMemory.liveBytes();
        try (TensorScope scope = TensorScope.open();
                CausalModel model =
                        Models.load(
                                adapters().resolve("base"),
                                FamilyGoldenTest.NOT_QUANTIZED,
                                DType.F32);
                LoraAdapter adapter =
                        PeftAdapter.load(
                                adapters().resolve(name),
                                model.linears(),
                                model.parameters(),
                                DType.F32,
                                true)) {
            Tensor ids = golden.tensor("input_ids");
            int batch = (int) ids.size(0);
            int time = (int) ids.size(1);
            try (Tape tape = Tape.recording(1);
                    BatchContext seen = BatchContext.of(batch, time)) {
                Var hidden = model.hidden(tape, ids, seen, false);
                Tensor logits =
                        model.logits(hidden.value()).view(batch, time, model.vocabularySize());
                Close.assertClose("logits", logits, golden.tensor("logits"), 0, 1e-4);
                int[] labels = FamilyGoldenTest.shifted(ids.toLongs(), batch, time);
                Var loss = CrossEntropy.sum(tape, hidden, model.head(), labels);
                int count = batch * (time - 1);
                assertThat(loss.value().item() / count)
                        .isCloseTo(golden.tensor("loss").toFloats()[0], Offset.offset(1e-5));
                tape.backward(loss);
                for (Parameter p : adapter.parameters()) {
                    String key = "grad.base_model.model." + inMemory(p.name());
                    Close.assertClose(
                            p.name(), p.grad().times(1.0 / count), golden.tensor(key), 1e-4, 1e-6);
                }
            }
            adapter.mergeInto(DType.F32);
            try (Tape tape = Tape.inference();
                    BatchContext seen = BatchContext.of(batch, time)) {
                Var hidden = model.hidden(tape, ids, seen, false);
                Tensor logits =
                        model.logits(hidden.value()).view(batch, time, model.vocabularySize());
                Close.assertClose("merged logits", logits, golden.tensor("merged_logits"), 0, 1e-4);
            }
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    /** PEFT's name of a trained parameter in memory; files name it without the adapter. */
    static String inMemory(String name) {
        if (name.endsWith("lora_magnitude_vector")) {
            return name + ".default.weight";
        }
        return name.contains("lora_")
                ? name.replace(".weight", ".default.weight")
                : name.replace(".weight", ".modules_to_save.default.weight");
    }

    @ParameterizedTest
    @ValueSource(strings = {"lora", "rslora", "patterns", "layers", "dora", "embeddings"})
    void adapterSavedAgain_hasTheSameFiles(String name) throws IOException {
        Path source = adapters().resolve(name);
        try (TensorScope scope = TensorScope.open();
                CausalModel model =
                        Models.load(
                                adapters().resolve("base"),
                                FamilyGoldenTest.NOT_QUANTIZED,
                                DType.F32);
                LoraAdapter adapter =
                        PeftAdapter.load(source, model.linears(), model.parameters(), DType.F32)) {
            PeftAdapter.save(adapter, temporary, null);
        }
        assertSameAdapter(temporary, source);
    }

    /** The files of PEFT's adapter and ours, but for the order of sets. */
    static void assertSameAdapter(Path ours, Path source) throws IOException {
        assertThat(Files.readAllBytes(ours.resolve("adapter_model.safetensors")))
                .isEqualTo(Files.readAllBytes(source.resolve("adapter_model.safetensors")));
        JsonNode written = Golden.json(ours.resolve("adapter_config.json"));
        JsonNode expected = Golden.json(source.resolve("adapter_config.json"));
        assertThat(new TreeSet<>(written.propertyNames()))
                .isEqualTo(new TreeSet<>(expected.propertyNames()));
        for (String key : expected.propertyNames()) {
            if (expected.get(key).isArray()
                    && (key.equals("target_modules")
                            || key.equals("modules_to_save"))) { // PEFT writes a set, in any order
                assertThat(
                                new TreeSet<>(
                                        written.get(key)
                                                .valueStream()
                                                .map(JsonNode::asString)
                                                .toList()))
                        .isEqualTo(
                                new TreeSet<>(
                                        expected.get(key)
                                                .valueStream()
                                                .map(JsonNode::asString)
                                                .toList()));
            } else {
                assertThat(written.get(key)).as(key).isEqualTo(expected.get(key));
            }
        }
    }
}
