package org.qlora4j.lora;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.PythonRegex;

/** An {@code adapter_config.json} of a stranger: wrong types, expressions that never end. */
class HostileAdapterTest {
    private static final String CONFIG =
            "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"target_modules\": [\"q_proj\"]%s}";

    @TempDir Path folder;

    private LoraConfig read(String more) throws IOException {
        Path file = folder.resolve("adapter_config.json");
        Files.writeString(file, CONFIG.formatted(more));
        return PeftConfigFile.read(file);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "alpha_pattern|{\"head_dim\": \"[\"}|alpha_pattern must be an object of numbers, got {\"head_dim\":\"[\"}",
                "rank_pattern|[4]|rank_pattern must be an object of whole numbers, got [4]",
                "rank_pattern|{\"q\": 1.5}|rank_pattern must be an object of whole numbers",
                "use_rslora|\"no\"|use_rslora must be true or false, got \"no\"",
                "layers_to_transform|{}|layers_to_transform must be a whole number or a list of them, got {}",
                "modules_to_save|[1]|modules_to_save must be a text or a list of texts, got [1]",
                "lora_dropout|1e308|lora_dropout must be a number that fits 32 bits, got 1.0E308",
                "lora_dropout|\"0.1\"|lora_dropout must be a number that fits 32 bits, got \"0.1\"",
                "init_lora_weights|{}|init_lora_weights must be true, false or a text, got {}"
            })
    void wrongType_isNamedWithItsKey(String key, String value, String reason) {
        assertThatThrownBy(() -> read(", \"" + key + "\": " + value))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("adapter_config.json: ")
                .hasMessageContaining(reason);
    }

    @Test
    void cutFile_isNotValidJson() {
        assertThatThrownBy(() -> read(", \"r"))
                .isInstanceOf(FormatException.class)
                .hasMessageEndingWith(
                        "adapter_config.json:1: not valid JSON; save the adapter again");
    }

    @Test
    void expressionThatBacktracksWithoutEnd_isGivenUp() throws IOException {
        String evil = "(((a|.)*)*)*!";
        TargetModules targets = TargetModules.of(evil);
        String path = "model.layers.11.self_attn.q_proj.model.layers.11.self_attn.q_proj";
        boolean given;
        try {
            given = targets.matches(path);
        } catch (FormatException e) {
            assertThat(e).hasMessageContaining("searches too long in a text of");
            given = false;
        }
        assertThat(given).isFalse();
        LoraConfig config = read(", \"rank_pattern\": {\"(x+x+)+y\": 2}");
        assertThat(config.rankOf("x".repeat(10))).isEqualTo(4);
        assertThatThrownBy(() -> PythonRegex.matches("(.*)(.*)(.*)(.*)(.*)!", path.repeat(9)))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("searches too long");
    }
}
