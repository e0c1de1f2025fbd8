package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;

/**
 * GPT-NeoX's head under both of its names: {@code embed_out} in checkpoints, {@code lm_head} in
 * transformers 5 and PEFT over it (make_neox_head_adapter.py).
 */
class NeoxHeadTest {
    private static final Path ADAPTERS = Path.of("src/test/resources/org/qlora4j/family/adapters");

    @TempDir Path temporary;

    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
    }

    private static Path golden() {
        return Golden.folder().resolve("families/gpt-neox");
    }

    private static CausalModel load(Path folder) {
        return Models.load(folder, FamilyGoldenTest.NOT_QUANTIZED, DType.F32);
    }

    /** The golden model with heads under these names, each so many times the model's own. */
    private Path model(Map<String, Double> heads) throws IOException {
        Path folder = Files.createDirectories(temporary.resolve("model"));
        Files.copy(golden().resolve("config.json"), folder.resolve("config.json"));
        try (Arena arena = Arena.ofConfined();
                TensorScope scope = TensorScope.open();
                Checkpoint stored = Checkpoint.open(golden())) {
            SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
            for (String name : stored.names()) {
                Tensor value = TensorBytes.toTensor(stored.read(name, arena));
                if (!name.equals("embed_out.weight")) {
                    TensorBytes.add(writer, name, value, arena);
                    continue;
                }
                heads.forEach(
                        (head, times) -> TensorBytes.add(writer, head, value.times(times), arena));
            }
            writer.write(folder.resolve(Checkpoint.MODEL_FILE));
        }
        return folder;
    }

    /** As transformers 5.23 does; of two it takes embed_out. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void checkpointsOfBothNames_areRead(boolean both) throws IOException {
        Path folder =
                model(
                        both
                                ? Map.of("lm_head.weight", 2.0, "embed_out.weight", 1.0)
                                : Map.of("lm_head.weight", 1.0));
        try (TensorScope scope = TensorScope.open();
                CausalModel model = load(folder);
                CausalModel known = load(golden())) {
            assertThat(model.parameterCount()).isEqualTo(known.parameterCount());
            Tensor ids = head().tensor("ids");
            Tensor expected = FamilyGoldenTest.logits(known, ids);
            Close.assertClose("logits", FamilyGoldenTest.logits(model, ids), expected, 0, 0);
        }
    }

    private static Golden head() {
        return Golden.open(ADAPTERS.resolve("gpt-neox-head/expected.safetensors"));
    }

    @Test
    void loraOnTheHead_givesPeftsLogits() {
        Path source = ADAPTERS.resolve("gpt-neox-head");
        try (TensorScope scope = TensorScope.open();
                CausalModel model = load(golden());
                LoraAdapter adapter =
                        PeftAdapter.load(source, model.linears(), model.parameters(), DType.F32)) {
            Tensor logits = FamilyGoldenTest.logits(model, head().tensor("ids"));
            Tensor last = logits.narrow(0, logits.size(0) - 2, 2);
            Close.assertClose("logits", last, head().tensor("logits"), 0, 1e-4);
        }
    }

    /** A head of twice the weights gives twice the logits; what is written has PEFT's name. */
    @ParameterizedTest
    @CsvSource({"lm_head, lm_head", "embed_out, embed_out", "lm_head, embed_out"})
    void savedHeads_areReadByBothNamesAndWrittenByPefts(String inConfig, String inFile)
            throws IOException {
        Path folder = Files.createDirectories(temporary.resolve("adapter"));
        Path again = Files.createDirectories(temporary.resolve("again"));
        Files.writeString(
                folder.resolve("adapter_config.json"),
                """
                {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2,
                 "target_modules": ["query_key_value"], "modules_to_save": ["%s"]}
                """
                        .formatted(inConfig));
        try (TensorScope scope = TensorScope.open();
                Arena arena = Arena.ofConfined();
                Checkpoint base = Checkpoint.open(golden());
                CausalModel model = load(golden())) {
            Tensor own = TensorBytes.toTensor(base.read("embed_out.weight", arena));
            SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
            String key = "base_model.model." + inFile + ".weight";
            TensorBytes.add(writer, key, own.times(2), arena);
            writer.write(folder.resolve(Checkpoint.ADAPTER_FILE));

            Tensor ids = head().tensor("ids");
            Tensor twice = FamilyGoldenTest.logits(model, ids).times(2);
            try (LoraAdapter adapter =
                    PeftAdapter.load(folder, model.linears(), model.parameters(), DType.F32)) {
                Close.assertClose("logits", FamilyGoldenTest.logits(model, ids), twice, 1e-5, 1e-5);
                PeftAdapter.save(adapter, again, "gpt-neox");
            }
        }
        try (Checkpoint written = Checkpoint.open(again.resolve(Checkpoint.ADAPTER_FILE))) {
            assertThat(List.copyOf(written.names()))
                    .containsExactly("base_model.model.lm_head.weight");
        }
        assertThat(Files.readString(again.resolve("adapter_config.json")))
                .contains("\"lm_head\"")
                .doesNotContain("embed_out");
    }
}
