package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.LanguageModel;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.StoredTensor;
import org.qlora4j.error.FormatException;
import org.qlora4j.export.AdapterMerge;
import org.qlora4j.export.AdapterMix;
import org.qlora4j.export.MergeTarget;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.Strangers;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Adapters that are odd but sound give the loss of PEFT; what was odd is said once. */
class StrangeAdapterTest {
    @TempDir Path folder;

    private static void assertLoss(Path base, Path adapter, String name) {
        long before = NativeMemory.liveBytes();
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(base, FamilyGoldenTest.NOT_QUANTIZED, DType.F32)) {
            model.resizeVocabulary(PeftAdapter.tableRows(adapter).orElse(160));
            double plain = StrangeCheckpointTest.loss(model);
            try (LoraAdapter loaded =
                    PeftAdapter.load(adapter, model.linears(), model.parameters(), DType.F32)) {
                assertThat(StrangeCheckpointTest.loss(model))
                        .as(name)
                        .isCloseTo(StrangeCheckpointTest.expected(name), Offset.offset(2e-5));
                loaded.detach();
                assertThat(StrangeCheckpointTest.loss(model)).isEqualTo(plain);
            }
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    @ParameterizedTest
    @ValueSource(strings = {"peft-tables", "peft-tokens", "peft-regex", "peft-bin"})
    void adapterOfPeft_givesItsLoss(String name) {
        assertLoss(Strangers.folder("base"), Strangers.folder(name), name);
    }

    @ParameterizedTest
    @ValueSource(strings = {"peft-tokens-tied", "peft-tables-tied"})
    void adapterOnATiedModel_givesPeftsLoss(String name) {
        Strangers.base(
                folder,
                "{\"tie_word_embeddings\": true}",
                tensors -> {
                    tensors.remove("lm_head.weight");
                    return tensors;
                });
        assertLoss(folder, Strangers.folder(name), name);
    }

    @ParameterizedTest
    @ValueSource(strings = {"adapter-resized", "adapter-same-size"})
    void tablesBesideTheFactors_standInThePlaceOfTheModels(String name) {
        assertLoss(Strangers.folder("base"), Strangers.folder(name), name);
    }

    @Test
    void tablesOfALargerVocabulary_answer() throws IOException {
        try (LanguageModel model =
                LanguageModel.load(Strangers.folder("base"), FamilyGoldenTest.NOT_QUANTIZED)) {
            model.withAdapter(Strangers.folder("adapter-resized"));
            assertThat(
                            model.generate(
                                            "the cat",
                                            GenerationConfig.DEFAULT.withMaxNewTokens(4),
                                            text -> {})
                                    .newTokens())
                    .isPositive();
        }
    }

    /** Another tool's settings beside an adapter say nothing about it. */
    @Test
    void settingsOfAnotherTool_areNotRead() throws IOException {
        Path adapter = folder.resolve("run/checkpoint-3");
        copy("peft-regex", adapter, "{}");
        Files.writeString(folder.resolve("run/config.yaml"), "trainer: sft\nlr: 1e-4\n");
        String said =
                Strangers.said(() -> {
                    try (LanguageModel model =
                            LanguageModel.load(
                                    Strangers.folder("base"), FamilyGoldenTest.NOT_QUANTIZED)) {
                        model.withAdapter(adapter);
                    }
                });
        assertThat(said.lines())
                .singleElement()
                .asString()
                .contains("config.yaml is not read, for it is not this program's");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"init_lora_weights\": \"eva\", \"eva_config\": {\"rho\": 2.0, \"tau\": 0.99}}",
                "{\"layers_pattern\": \"layers\", \"layers_to_transform\": [0, 1]}",
                "{\"loftq_config\": {\"loftq_bits\": 4, \"loftq_iter\": 1}}",
                "{\"corda_config\": {\"corda_method\": \"kpm\"}}",
                "{\"exclude_modules\": [], \"modules_to_save\": [], \"layers_to_transform\": []}",
                "{\"exclude_modules\": \"\", \"target_parameters\": []}",
                "{\"target_modules\": []}",
                "{\"target_modules\": \"\"}",
                "{\"target_modules\": null}",
                "{\"target_modules\": \"(?P<open\"}"
            })
    void fieldsThatOnlyToldHowTrainingBegan_changeNothing(String keys) throws IOException {
        Path adapter = folder.resolve("adapter");
        copy("peft-regex", adapter, keys);
        assertThat(
                        Strangers.said(
                                () -> assertLoss(Strangers.folder("base"), adapter, "peft-regex")))
                .isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"init_lora_weights\": \"olora\"}|init_lora_weights is olora",
                "{\"init_lora_weights\": \"loftq\", \"loftq_config\": {\"loftq_bits\": 4}}|init_lora_weights is loftq",
                "{\"use_qalora\": true}|use_qalora true is not supported",
                "{\"alora_invocation_tokens\": [1]}|alora_invocation_tokens [1] is not supported",
                "{\"trainable_token_indices\": [\"a\"]}|trainable_token_indices must list ids"
            })
    void whatIsComputedOtherwise_isRefused(String keys, String reason) throws IOException {
        Path adapter = folder.resolve("adapter");
        copy("peft-regex", adapter, keys);
        assertThatThrownBy(() -> assertLoss(Strangers.folder("base"), adapter, "peft-regex"))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("adapter_config.json: ")
                .hasMessageContaining(reason);
    }

    /** Both change only one of two tables; the model has one. */
    @Test
    void factorsOfATiedTable_areRefused() {
        Strangers.base(
                folder,
                "{\"tie_word_embeddings\": true}",
                tensors -> {
                    tensors.remove("lm_head.weight");
                    return tensors;
                });
        assertThatThrownBy(() -> assertLoss(folder, Strangers.folder("peft-tables"), "no"))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("the model has one table for embeddings and head");
    }

    @ParameterizedTest
    @ValueSource(strings = {"r", "lora_alpha", "lora_dropout"})
    void numberOfHundredsOfDigits_isToldByItsField(String key) throws IOException {
        Path adapter = folder.resolve("adapter");
        copy("peft-regex", adapter, "{\"%s\": 1%s}".formatted(key, "0".repeat(400)));
        assertThatThrownBy(() -> assertLoss(Strangers.folder("base"), adapter, "no"))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("adapter_config.json: " + key + " must be a ");
    }

    /** PEFT changes the embeddings alone then, the model here both; merging is no other way in. */
    @Test
    void tableTrainedApartFromItsHead_isRefusedByLoadingAndMerging() throws IOException {
        Path base = Files.createDirectory(folder.resolve("base"));
        Strangers.base(
                base,
                "{\"tie_word_embeddings\": true}",
                tensors -> {
                    tensors.remove("lm_head.weight");
                    return tensors;
                });
        Path adapter = folder.resolve("adapter");
        copy("peft-tables-tied", adapter, "{\"modules_to_save\": [\"embed_tokens\"]}");
        leaveOut(adapter.resolve("adapter_model.safetensors"), "base_model.model.lm_head.weight");
        String message = "embeddings and head were trained apart";
        assertThatThrownBy(() -> assertLoss(base, adapter, "no")).hasMessageContaining(message);
        var merge =
                new AdapterMerge(
                        ModelPlace.of(base),
                        AdapterMix.of(adapter),
                        null,
                        FamilyGoldenTest.NOT_QUANTIZED,
                        null);
        assertThatThrownBy(() -> merge.write(MergeTarget.ORIGINAL, folder.resolve("merged")))
                .hasMessageContaining(message);
    }

    @Test
    void rowsThatTheFileDoesNotHold_areMissed() throws IOException {
        Path adapter = folder.resolve("adapter");
        copy("peft-regex", adapter, "{\"trainable_token_indices\": [1]}");
        assertThatThrownBy(() -> assertLoss(Strangers.folder("base"), adapter, "no"))
                .hasMessageContaining("holds no rows of tokens, which trainable_token_indices");
    }

    private static void leaveOut(Path file, String tensor) throws IOException {
        Path whole = Files.move(file, file.resolveSibling("whole.safetensors"));
        try (Checkpoint checkpoint = Checkpoint.open(whole);
                Arena arena = Arena.ofConfined()) {
            SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
            for (String name : checkpoint.names()) {
                StoredTensor stored = checkpoint.read(name, arena);
                if (!name.equals(tensor)) {
                    writer.add(name, stored.type(), stored.shape(), stored.data());
                }
            }
            writer.write(file);
        }
    }

    private static void copy(String name, Path target, String keys) throws IOException {
        Files.createDirectories(target);
        Path source = Strangers.folder(name);
        Files.copy(
                source.resolve("adapter_model.safetensors"),
                target.resolve("adapter_model.safetensors"));
        ObjectNode config = (ObjectNode) Golden.json(source.resolve("adapter_config.json"));
        new JsonMapper().readTree(keys).forEachEntry(config::set);
        Files.writeString(target.resolve("adapter_config.json"), config.toString());
    }

    @Test
    void adapterOfHalfTheLayers_saysWhichItLeaves() {
        String said =
                Strangers.said(() -> {
                    for (int i : List.of(1, 2)) {
                        try (CausalModel model =
                                        Models.load(
                                                Strangers.folder("base"),
                                                FamilyGoldenTest.NOT_QUANTIZED,
                                                DType.F32);
                                LoraAdapter adapter =
                                        PeftAdapter.load(
                                                Strangers.folder("adapter-half"),
                                                model.linears(),
                                                model.parameters(),
                                                DType.F32)) {
                            assertThat(adapter.updates()).as("load %d", i).isNotEmpty();
                        }
                    }
                });
        assertThat(said)
                .containsOnlyOnce("holds no factors for 2 of the 4 layers")
                .contains("model.layers.1.self_attn.q_proj")
                .hasLineCount(1);
    }
}
