package org.qlora4j.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class RunConfigWriterTest {
    @TempDir Path folder;

    @Test
    void exampleWrittenElsewhere_readsBackEqual() throws Exception {
        Path example =
                Path.of(Objects.requireNonNull(getClass().getResource("example.yaml")).toURI());
        RunConfig config = RunConfigReader.read(example);
        Path file = folder.resolve("config.yaml");
        RunConfigWriter.write(config, file);
        assertThat(RunConfigReader.read(file)).isEqualTo(config);
    }

    static Stream<String> texts() {
        return Stream.of(
                "a: b",
                "#x",
                "a #b",
                "null",
                "~",
                "true",
                "yes",
                "1e3",
                "0x1F",
                "017",
                " padded ",
                "- a",
                "{a}",
                "[a]",
                "@x",
                "%x",
                "*a",
                "&a",
                "!t",
                "it's",
                "\"q\"",
                "two\nlines\n",
                "\n",
                "tab\there",
                "back\\slash",
                "ünïcødé 漢字 🤖",
                "\u0007",
                "\u2028",
                "x".repeat(300) + " " + "y".repeat(300),
                "---",
                "...",
                "a\r\nb");
    }

    @ParameterizedTest
    @MethodSource("texts")
    void anyText_readsBackEqual(String text) {
        String prompt = text.isBlank() ? "x" + text : text;
        Overrides given =
                new Overrides(
                        List.of(
                                new Overrides.Setting(
                                        "model.model_name_or_path", prompt, true, "m"),
                                new Overrides.Setting("data.dataset", "alpaca", true, "d"),
                                new Overrides.Setting(
                                        "train.output_dir", "/runs/" + prompt, true, "o"),
                                new Overrides.Setting("train.sample_prompt", prompt, true, "p")),
                        List.of());
        RunConfig config = RunConfigReader.of(given);
        assertThat(config.model().modelNameOrPath()).isEqualTo(prompt);
        assertThat(config.train().samplePrompt()).containsExactly(prompt);
        Path file = folder.resolve("config.yaml");
        RunConfigWriter.write(config, file);
        assertThat(RunConfigReader.read(file)).isEqualTo(config);
    }

    @Test
    void yaml_beginsWithTheVersionAndKeepsTheOrderOfTheRecords() {
        RunConfig config =
                RunConfigReader.of(
                        Overrides.ofWords(List.of("model.model_name_or_path=m", "data.dataset=d")));
        assertThat(RunConfigWriter.toYaml(config))
                .startsWith("version: 1\nmodel:\n  model_name_or_path: \"m\"\n");
    }
}
