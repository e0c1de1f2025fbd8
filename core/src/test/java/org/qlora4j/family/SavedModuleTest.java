package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.error.ConfigException;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.lora.LoraInit;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.lora.TargetModules;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.TinyLlama;
import tools.jackson.databind.node.BooleanNode;

/** {@code modules_to_save} on a tiny model in 4 bits. */
class SavedModuleTest {
    private static LoraConfig saving(String... modules) {
        return new LoraConfig(
                2,
                4,
                0,
                new TargetModules.AllLinear(),
                null,
                false,
                Map.of(),
                Map.of(),
                null,
                LoraInit.KAIMING_UNIFORM,
                false,
                List.of(modules));
    }

    private static CausalModel model() {
        return Models.load(TinyLlama.folder(), QuantConfig.DEFAULT, DType.F32);
    }

    /** PEFT's rule is the end of the path: "norm" is the end of every norm's. */
    @Test
    void names_areEndsOfPaths() {
        try (CausalModel model = model();
                LoraAdapter adapter =
                        LoraAdapter.create(
                                saving("norm", "lm_head"),
                                model.linears(),
                                model.parameters(),
                                DType.F32,
                                1)) {
            assertThat(adapter.parameters())
                    .extracting(Parameter::name)
                    .filteredOn(name -> !name.contains("lora_"))
                    .containsExactly(
                            "model.layers.0.input_layernorm.weight",
                            "model.layers.0.post_attention_layernorm.weight",
                            "model.layers.1.input_layernorm.weight",
                            "model.layers.1.post_attention_layernorm.weight",
                            "model.norm.weight",
                            "lm_head.weight");
        }
    }

    @Test
    void detached_theModelIsItsOwnAgain() {
        long before = NativeMemory.liveBytes();
        try (CausalModel model = model()) {
            Parameter embedding = model.parameters().getFirst();
            float[] start = embedding.value().toFloats();
            try (LoraAdapter adapter =
                    LoraAdapter.create(
                            saving("embed_tokens"),
                            model.linears(),
                            model.parameters(),
                            DType.F32,
                            1)) {
                assertThat(embedding.trainable()).isTrue();
                assertThat(embedding.value().toFloats()).isEqualTo(start);
                adapter.parameters().getLast().master().fill(0.5);
                adapter.parameters().getLast().refresh();
                assertThat(embedding.value().toFloats()).containsOnly(0.5f);
                adapter.detach();
                assertThat(embedding.trainable()).isFalse();
                assertThat(embedding.value().toFloats()).isEqualTo(start);
                adapter.attach();
            }
            assertThat(embedding.value().toFloats()).isEqualTo(start);
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "classifier | lora.modules_to_save names classifier, which the model does not have; it has embed_tokens,"
                        + " input_layernorm, lm_head, norm, post_attention_layernorm",
                "q_proj | lora.modules_to_save [q_proj] names model.layers.0.self_attn.q_proj, which is held in 4 bits"
                        + " and cannot be trained whole; adapt it by lora.target_modules"
            })
    void moduleThatCannotLearn_isOneLine(String module, String message) {
        long before = NativeMemory.liveBytes();
        try (CausalModel model = model()) {
            assertThatThrownBy(() ->
                            LoraAdapter.create(
                                    saving(module),
                                    model.linears(),
                                    model.parameters(),
                                    DType.F32,
                                    1))
                    .isInstanceOf(ConfigException.class)
                    .hasMessage(message);
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    /** What PEFT 0.21.2 needs to change both tables of GPT-2: each in the file, alike. */
    @Test
    void sharedTableOfGpt2_isSavedForBothItsPlaces(@TempDir Path folder) {
        Path base = Golden.folder().resolve("families/gpt2");
        try (CausalModel model = Models.load(base, FamilyGoldenTest.NOT_QUANTIZED, DType.F32);
                LoraAdapter adapter =
                        LoraAdapter.create(
                                saving("wte"), model.linears(), model.parameters(), DType.F32, 1)) {
            PeftAdapter.save(adapter, folder, null);
        }
        try (Checkpoint saved = Checkpoint.open(folder.resolve(Checkpoint.ADAPTER_FILE))) {
            assertThat(saved.names())
                    .contains(
                            "base_model.model.transformer.wte.weight",
                            "base_model.model.lm_head.weight");
        }
        assertThat(Golden.json(folder.resolve("adapter_config.json")).get("ensure_weight_tying"))
                .isEqualTo(BooleanNode.TRUE);
    }
}
