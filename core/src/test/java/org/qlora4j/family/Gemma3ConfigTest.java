package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.error.FormatException;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.Rope;
import org.qlora4j.model.RopeScaling;
import org.qlora4j.tensor.DType;

/** Spellings of Gemma 3's {@code config.json} that golden files do not have. */
class Gemma3ConfigTest {
    @TempDir Path folder;

    private ModelShape read(String json) throws IOException {
        Files.writeString(folder.resolve("config.json"), json);
        return Families.shape(folder);
    }

    /** What the released 4B model's file says, which leaves much to transformers' defaults. */
    @Test
    void modelThatReadsPictures_isItsTextModel() throws IOException {
        Files.writeString(folder.resolve("generation_config.json"), "{\"eos_token_id\": [1, 106]}");
        ModelShape shape =
                read(
                        """
                        {"architectures": ["Gemma3ForConditionalGeneration"], "eos_token_id": [1, 106],
                         "model_type": "gemma3", "text_config": {"hidden_size": 2560,
                         "intermediate_size": 10240, "model_type": "gemma3_text",
                         "num_hidden_layers": 34,
                         "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
                         "sliding_window": 1024}, "vision_config": {"hidden_size": 1152}}\
                        """);
        Gemma3Config config = (Gemma3Config) shape.architecture();
        assertThat(shape.linears().getFirst().path())
                .isEqualTo("language_model.model.layers.0.self_attn.q_proj");
        assertThat(shape.headTable()).isEqualTo("language_model.model.embed_tokens.weight");
        assertThat(shape.parameterCount()).isEqualTo(3_880_263_168L); // 4.3e9 less the pictures'
        assertThat(shape.eosIds()).containsExactlyInAnyOrder(1, 106);
        assertThat(config.rope()).isEqualTo(new Rope(1e6, new RopeScaling.Linear(8)));
        assertThat(config.localRope()).isEqualTo(new Rope(1e4, new RopeScaling.Default()));
        assertThat(config.windows().positions()).isEqualTo(1024);
        assertThat(config.windows().slides(0)).isTrue();
        assertThat(config.windows().slides(5)).isFalse();
        assertThat(config.windows().slides(33)).isTrue();
    }

    /** Version 4 of transformers: one theta for each kind of layer, beside each other. */
    @Test
    void anglesInTheSpellingOfVersion4_areRead() throws IOException {
        Gemma3Config config =
                (Gemma3Config)
                        read("""
                        {"model_type": "gemma3_text", "hidden_size": 1152, "intermediate_size": 6912,
                         "num_hidden_layers": 26, "num_attention_heads": 4, "num_key_value_heads": 1,
                         "head_dim": 256, "vocab_size": 262144, "rope_theta": 1000000,
                         "rope_local_base_freq": 10000, "rope_scaling": null,
                         "sliding_window": 512, "sliding_window_pattern": 6}\
                        """)
                                .architecture();
        assertThat(config.rope().theta()).isEqualTo(1e6);
        assertThat(config.localRope().theta()).isEqualTo(1e4);
        assertThat(config.windows().layers()).hasSize(22).doesNotContain(5, 11, 17, 23);
    }

    /** A weight that is kept less 1 begins at 0, as transformers draws it. */
    @Test
    void newModel_hasNormsThatChangeNothing() throws IOException {
        ModelShape shape =
                read(
                        """
                        {"model_type": "gemma3_text", "hidden_size": 32, "intermediate_size": 64,
                         "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
                         "head_dim": 16, "vocab_size": 50}\
                        """);
        try (CausalModel model =
                Models.random(shape, FamilyGoldenTest.NOT_QUANTIZED, DType.F32, false, 1)) {
            List<Parameter> norms =
                    model.parameters().stream().filter(p -> p.name().contains("norm")).toList();
            assertThat(norms).hasSize(7);
            norms.forEach(p -> assertThat(p.value().toFloats()).containsOnly(0f));
        }
    }

    @Test
    void encoderMadeOfGemma_isRefused() {
        assertThatThrownBy(() ->
                        read(
                                "{\"model_type\": \"gemma3_text\","
                                        + " \"use_bidirectional_attention\": true}"))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("use_bidirectional_attention is true; models that generate");
    }
}
