package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.error.FormatException;
import org.qlora4j.model.ModelShape;

/** A {@code config.json} with wrong types or absurd sizes is refused in one line, at once. */
class HostileConfigTest {
    private static final String CONFIG =
            """
            {"model_type": "llama", "hidden_act": "silu", "hidden_size": 64, "intermediate_size": 128,
             "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
             "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "vocab_size": 300, "eos_token_id": 2,
             "attention_bias": false, "mlp_bias": false, "tie_word_embeddings": true,
             "rope_theta": 10000.0, "rope_scaling": null, "partial_rotary_factor": null, "unused": 1}\
            """;

    @TempDir Path folder;

    private ModelShape read(String json) throws IOException {
        Files.writeString(folder.resolve("config.json"), json);
        return Families.shape(folder);
    }

    private static String with(String key, String value) {
        return CONFIG.replaceFirst("\"" + key + "\": ([^,}]+)", "\"" + key + "\": " + value);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "num_hidden_layers|2147483647|num_hidden_layers must be at most 10000, got 2147483647",
                "num_hidden_layers|\"x\"|num_hidden_layers must be a whole number from 1, got \"x\"",
                "num_attention_heads|128|hidden_size 64 divided by num_attention_heads 128 leaves a head_dim of 0",
                "vocab_size|268435457|vocab_size must be at most 268435456, got 268435457",
                "hidden_act|[1]|hidden_act must be text, got [1]",
                "model_type|5|model_type must be text, got 5",
                "tie_word_embeddings|\"yes\"|tie_word_embeddings must be true or false, got \"yes\"",
                "eos_token_id|{\"a\": 1}|eos_token_id must be a whole number or a list of them, got {\"a\":1}",
                "rms_norm_eps|\"1e-5\"|rms_norm_eps must be a number, got \"1e-5\"",
                "rope_theta|Infinity|rope_theta must be a number from 0 that fits 32 bits",
                "rms_norm_eps|1e39|rms_norm_eps must be a number from 0 that fits 32 bits, got 1.0E39",
                "rope_scaling|\"linear\"|rope_scaling must be an object or null, got \"linear\"",
                "rope_scaling|8|rope_scaling must be an object or null, got 8",
                "rope_scaling|{\"type\": null}|type must be text, got null",
                "rope_scaling|{\"type\": \"linear\", \"factor\": 0}|factor must be above 0, got 0",
                "rope_scaling|{\"type\": \"x\"}|rope_type \"x\" is not supported; supported: default, linear",
                "partial_rotary_factor|0.1|partial_rotary_factor 0.1 turns 1 of the 16 places of a head",
                "rope_scaling|{\"type\": \"longrope\", \"short_factor\": [1]}|short_factor and long_factor must have 8 numbers each, have 1 and 0",
                "rope_scaling|{\"type\": \"longrope\", \"short_factor\": [0]}|short_factor must be a list of numbers above 0, has 0",
                "rope_scaling|{\"type\": \"yarn\", \"beta_fast\": \"a\"}|beta_fast must be a number, got \"a\"",
                "partial_rotary_factor|0.5|partial_rotary_factor must be 1, got 0.5",
                "unused|{|not valid JSON"
            })
    void wrongValue_isNamedWithItsKey(String key, String value, String reason) {
        String json =
                with(key, value)
                        .replace(
                                "\"head_dim\": 16",
                                key.equals("num_attention_heads")
                                        ? "\"head_dim\": null"
                                        : "\"head_dim\": 16")
                        .replace(
                                "\"num_key_value_heads\": 2",
                                key.equals("num_attention_heads")
                                        ? "\"num_key_value_heads\": 128"
                                        : "\"num_key_value_heads\": 2");
        assertThatThrownBy(() -> read(json))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("config.json:")
                .hasMessageContaining(reason)
                .message()
                .doesNotContain("\n")
                .doesNotContain("START_OBJECT");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "[\"full_attention\"]|layer_types must be a list of 2 types, one for each layer, got 1 of them",
                "\"full_attention\"|layer_types must be a list of 2 types, one for each layer, got \"full_attention\"",
                "[\"full_attention\", \"linear_attention\"]|layer_types has \"linear_attention\" for layer 1; supported",
                "[1, 2]|layer_types has 1 for layer 0; supported: full_attention, sliding_attention",
                "[\"full_attention\", \"sliding_attention\"]|sliding_attention for layer 1, but sliding_window is not set"
            })
    void wrongLayerTypes_areNamed(String types, String reason) {
        String json =
                CONFIG.replace("\"llama\"", "\"qwen2\"")
                        .replace("\"unused\"", "\"layer_types\": " + types + ", \"unused\"");
        assertThatThrownBy(() -> read(json))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("config.json:")
                .hasMessageContaining(reason);
    }

    /** Python's JSON writes and reads it; transformers loads such a checkpoint. */
    @Test
    void infinityInAKeyNobodyNeeds_isRead() throws IOException {
        assertThat(read(with("unused", "Infinity")).layers()).isEqualTo(2);
        assertThat(read(with("unused", "NaN")).layers()).isEqualTo(2);
    }

    @Test
    void mutatedConfigs_giveAConfigOrOneLine() throws IOException {
        Random random = new Random(11);
        String[] values = {
            "null", "true", "-1", "0", "1", "3", "2147483647", "1e400", "1e-400",
                    "18446744073709551616",
            "\"a\"", "[]", "[1]", "{}", "{\"type\": 1}", "NaN", "Infinity", "[[[]]]", "\"\\ud800\"",
                    "{"
        };
        String[] keys =
                CONFIG.replaceAll("[\\s{}]", "")
                        .replaceAll(":[^,]+", "")
                        .replace("\"", "")
                        .split(",");
        for (int i = 0; i < 3000; i++) {
            String json = CONFIG;
            for (int j = random.nextInt(3); j >= 0; j--) {
                String key = keys[random.nextInt(keys.length)];
                String value = values[random.nextInt(values.length)];
                json =
                        json.replaceFirst(
                                "\"" + key + "\": ([^,}]+)",
                                java.util.regex.Matcher.quoteReplacement(
                                        "\"" + key + "\": " + value));
            }
            if (random.nextInt(5) == 0) {
                json = json.substring(0, random.nextInt(json.length()));
            }
            try {
                read(json);
            } catch (FormatException e) {
                assertThat(e.getMessage()).as(json).doesNotContain("\n").doesNotContain("jackson");
            } catch (RuntimeException e) {
                throw new AssertionError(json, e);
            }
        }
    }
}
