package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.DataConfig;
import org.qlora4j.error.FormatException;
import org.qlora4j.testing.TinyLlama;

/**
 * A sample of every format in its published layout, and a twin whose second line is broken: the one
 * trains a step, the other is refused.
 */
class DatasetFormatsTest {
    @TempDir Path folder;

    private static Path samples() {
        try {
            return Path.of(Objects.requireNonNull(DataConfig.class.getResource("formats")).toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Stream<String> names(Path folder) throws IOException {
        return Files.list(folder)
                .map(file -> String.valueOf(file.getFileName()))
                .filter(name -> name.endsWith(".jsonl"));
    }

    /** The tiny model with room for Alpaca's prompt: its rotary embedding takes any length. */
    private Path model() throws IOException {
        Path model = folder.resolve("model");
        if (Files.exists(model)) {
            return model;
        }
        Files.createDirectory(model);
        TinyLlama.copyTo(model, "config.json");
        String config = Files.readString(TinyLlama.folder().resolve("config.json"));
        Files.writeString(
                model.resolve("config.json"),
                config.replace(
                        "\"max_position_embeddings\": 64", "\"max_position_embeddings\": 4096"));
        return model;
    }

    private RunConfig config(Path data, String... settings) throws IOException {
        String[] all =
                Stream.concat(
                                Stream.of(
                                        "train.max_steps=1",
                                        "data.source_max_len=1024",
                                        "data.target_max_len=1024",
                                        "train.gradient_accumulation_steps=1"),
                                Stream.of(settings))
                        .toArray(String[]::new);
        return TinyRun.config(model(), folder.resolve("run"), data, all);
    }

    @Test
    void samples_areOnePerFormatAndEachHasATwin() throws IOException {
        assertThat(names(samples())).hasSize(15);
        assertThat(names(samples()))
                .containsExactlyInAnyOrderElementsOf(names(samples().resolve("bad")).toList());
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "alpaca, alpaca, 2",
        "alpaca-clean, alpaca, 2",
        "chip2, chip2, 2",
        "self-instruct, prompt-completion, 2",
        "preference, preference, 2",
        "hh-rlhf, hh-rlhf, 2",
        "oasst1, oasst1, 2",
        "longform, input-output, 2",
        "input-output, input-output, 2",
        "flan, flan, 2",
        "unnatural-instructions, unnatural-instructions, 4",
        "seed-tasks, unnatural-instructions, 3",
        "sharegpt, sharegpt, 2",
        "messages, messages, 2",
        "text, text, 2",
    })
    void sample_isRecognizedSaidAndTrained(String name, String format, int examples)
            throws IOException {
        Path data = samples().resolve(name + ".jsonl");
        TinyRun.Record run = TinyRun.run(config(data));
        assertThat(run.notices)
                .anySatisfy(line ->
                        assertThat(line)
                                .startsWith(
                                        data + ": format " + format + " (the first record has "));
        assertThat(run.notices)
                .anyMatch(line -> line.startsWith(examples + " examples from 2 records"));
        assertThat(run.losses()).hasSize(1).allMatch(Double::isFinite);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "alpaca                 | field output is missing; the record has [instruction, input]",
                "alpaca-clean           | field output must be text, got null",
                "chip2                  | field text has no \"\\n<bot>: \"",
                "self-instruct          | field completion must be text, got a list",
                "preference             | field chosen must be text, got the number 7",
                "hh-rlhf                | field chosen must be text, got a list",
                "oasst1                 | field text must be text, got null",
                "longform               | field output is missing; the record has [input, source, subset]",
                "input-output           | not JSON: Unexpected end-of-input",
                "flan                   | field targets must be text, got the number 9",
                "unnatural-instructions | instances[0].output must be text, got none; it has [instruction_with_input, input, constraints]",
                "seed-tasks             | field instances is an empty list",
                "sharegpt               | conversations[1].from must be human, gpt, system, tool, function_call or observation, got alien",
                "messages               | messages[1].content must be text, got none; it has [role]",
                "text                   | field text must be text, got a list",
            })
    void malformedTwin_isRefusedWithLineAndReason(String name, String reason) throws IOException {
        Path data = samples().resolve("bad").resolve(name + ".jsonl");
        RunConfig config = config(data);
        assertThatThrownBy(() -> TinyRun.run(config))
                .isInstanceOf(FormatException.class)
                .hasMessageMatching("(?s).*" + name + "\\.jsonl:2(:\\d+)?: \\Q" + reason + "\\E.*")
                .hasMessageNotContaining("\n");
        assertThat(config.train().outputPath()).doesNotExist();
    }

    @Test
    void templateByName_makesChatsOfAnyFormat() throws IOException {
        Path data = samples().resolve("alpaca.jsonl");
        TinyRun.Record run = TinyRun.run(config(data, "data.chat_template=zephyr"));
        assertThat(run.notices).anyMatch(line -> line.endsWith(", chat template zephyr"));
        assertThat(run.losses()).allMatch(Double::isFinite);
    }

    @Test
    void answersThatAreAllCut_areRefusedUnlessAskedFor() throws IOException {
        Path data = samples().resolve("sharegpt.jsonl");
        String[] tight = {"data.source_max_len=16", "data.target_max_len=2"};
        RunConfig refused = config(data, tight);
        assertThatThrownBy(() -> TinyRun.run(refused))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("every answer is cut, so no example ends")
                .hasMessageEndingWith("To train all the same: data.on_bad_data=warn");
        RunConfig warned = config(data, tight[0], tight[1], "data.on_bad_data=warn");
        TinyRun.Record run = TinyRun.run(warned);
        assertThat(run.notices).anyMatch(line -> line.startsWith("warning: every answer is cut"));
    }
}
