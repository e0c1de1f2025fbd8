package org.qlora4j.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.qlora4j.error.Nearest;

class ConfigKeysTest {
    @Test
    void everyKey_isDescribedInOneSentenceAndTyped() {
        assertThat(ConfigKeys.all())
                .hasSizeGreaterThan(45)
                .allSatisfy(key -> {
                    assertThat(key.description()).isNotBlank().endsWith(".").doesNotContain("\n");
                    assertThat(key.type()).isNotBlank();
                });
    }

    @Test
    void keys_tellTypeDefaultAndWhetherTheyMustBeGiven() {
        assertThat(ConfigKeys.find("quantization.bnb_4bit_quant_type"))
                .isEqualTo(
                        new ConfigKeys.Key(
                                "quantization.bnb_4bit_quant_type",
                                "nf4|fp4",
                                "nf4",
                                "The 4-bit data type.",
                                false,
                                false));
        ConfigKeys.Key rate = Objects.requireNonNull(ConfigKeys.find("train.learning_rate"));
        assertThat(rate.type()).isEqualTo("number");
        assertThat(rate.defaultValue()).isEqualTo("null");
        assertThat(rate.nullable()).isTrue();
        assertThat(Objects.requireNonNull(ConfigKeys.find("lora.init_lora_weights")).type())
                .isEqualTo("true, gaussian, pissa or pissa_niter_N");
        assertThat(Objects.requireNonNull(ConfigKeys.find("lora.alpha_pattern")).type())
                .isEqualTo("map of text to number");
        assertThat(
                        ConfigKeys.all().stream()
                                .filter(ConfigKeys.Key::required)
                                .map(ConfigKeys.Key::name))
                .containsExactly("model.model_name_or_path", "data.dataset");
    }

    /** What the help shows as the default is taken as a value, and changes nothing. */
    @Test
    void everyDefault_readsBackAsItself() {
        List<String> words =
                new ArrayList<>(List.of("model.model_name_or_path=m", "data.dataset=d"));
        RunConfig plain = RunConfigReader.of(Overrides.ofWords(words));
        for (ConfigKeys.Key key : ConfigKeys.all()) {
            if (!key.required()) {
                words.add(key.name() + "=" + key.defaultValue());
            }
        }
        assertThat(RunConfigReader.of(Overrides.ofWords(words))).isEqualTo(plain);
    }

    @Test
    void aliases_leadToKeysThatExist() {
        for (String alias :
                List.of(
                        "rank",
                        "lr",
                        "epochs",
                        "base_model",
                        "max_new_tokens",
                        "block_size",
                        "dtype")) {
            assertThat(KeyHints.forUnknown("lora." + alias)).contains("did you mean");
        }
    }

    @Test
    void distance_countsEdits() {
        assertThat(Nearest.distance("rnak", "rank")).isEqualTo(1);
        assertThat(Nearest.distance("kitten", "sitting")).isEqualTo(3);
        assertThat(Nearest.distance("", "abc")).isEqualTo(3);
        assertThat(Nearest.distance("abc", "abc")).isZero();
    }
}
