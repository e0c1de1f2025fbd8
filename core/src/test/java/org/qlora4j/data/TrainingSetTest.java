package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.JsonNode;

class TrainingSetTest {
    private final Tokenizer tokenizer = References.tokenizer("llama");
    @TempDir Path folder;

    @AfterEach
    void close() {
        tokenizer.close();
    }

    private TrainingSet load(DataConfig config) {
        return TrainingSet.load(config, tokenizer, References.LLAMA, null);
    }

    private TrainingSet load(int sourceMaxLen, int targetMaxLen, String... lines) {
        return load(
                References.config(
                        References.write(folder, lines),
                        DatasetFormat.AUTO,
                        sourceMaxLen,
                        targetMaxLen));
    }

    @Test
    void fingerprint_equalsItsDefinitionInPython() {
        JsonNode first = References.json("collated.json.gz").get(0);
        TrainingSet set =
                load(
                        1024,
                        256,
                        first.get("records")
                                .valueStream()
                                .map(JsonNode::toString)
                                .toArray(String[]::new));
        assertThat(set.fingerprint())
                .isEqualTo(References.json("fingerprint.json").get("sha256").asString());
    }

    @Test
    void fingerprint_changesWithTextMaskAndOrder() {
        String a = "{\"input\": \"a\", \"output\": \"b\"}";
        String b = "{\"input\": \"c\", \"output\": \"d\"}";
        String plain = load(9, 9, a, b).fingerprint();
        assertThat(load(9, 9, a, "", b).fingerprint()).isEqualTo(plain);
        assertThat(load(9, 9, b, a).fingerprint()).isNotEqualTo(plain);
        assertThat(
                        load(References.settings(
                                        "dataset",
                                        References.write(folder, a, b),
                                        "source_max_len",
                                        9,
                                        "target_max_len",
                                        9,
                                        "train_on_source",
                                        true))
                                .fingerprint())
                .isNotEqualTo(plain);
    }

    @Test
    void cutTargets_areCountedWithTheirLostEnd() {
        String wide = "x".repeat(40);
        TrainingSet set =
                load(
                        10,
                        10,
                        "{\"input\": \"a\", \"output\": \"b\"}",
                        "{\"input\": \"" + wide + "\", \"output\": \"b\"}",
                        "{\"input\": \"a\", \"output\": \"" + wide + "\"}");
        assertThat(set.examples())
                .extracting(Example::truncated)
                .containsExactly(false, true, true);
        assertThat(set.examples()).extracting(Example::endCut).containsExactly(false, false, true);
        assertThat(set.examples().get(1).ids()).endsWith(2);
        assertThat(set.stats().truncatedAt()).isEqualTo("line 2");
        assertThat(set.stats().endsCut()).isEqualTo(1);
        assertThat(set.stats().tokens())
                .isEqualTo(set.lengths()[0] + set.lengths()[1] + set.lengths()[2]);
        assertThat(set.stats().report(References.config("", DatasetFormat.AUTO, 10, 10)))
                .hasSize(2)
                .last()
                .asString()
                .isEqualTo(
                        "2 examples are cut to source_max_len 10 and target_max_len 10, the first at line 2; 1 of them lose the end of the answer");
    }

    @Test
    void severalFiles_areNamedWhereAPlaceIsTold() throws IOException {
        Path data = Files.createDirectory(folder.resolve("data"));
        Files.writeString(data.resolve("a.jsonl"), "{\"input\": \"a\", \"output\": \"b\"}\n");
        Path second = data.resolve("b.jsonl");
        Files.writeString(
                second, "{\"input\": \"%s\", \"output\": \"b\"}\n".formatted("x".repeat(40)));
        DataConfig config =
                References.settings(
                        "dataset", data.toString(), "source_max_len", 10, "target_max_len", 10);
        assertThat(load(config).stats().truncatedAt()).isEqualTo(second + ":1");
    }

    @Test
    void folderOfAModel_isRefused() throws IOException {
        Path model = Files.createDirectory(folder.resolve("model"));
        Files.writeString(model.resolve("config.json"), "{\"model_type\": \"llama\"}");
        Files.createFile(model.resolve("model.safetensors"));
        assertThatThrownBy(() -> load(References.settings("dataset", model.toString())))
                .isInstanceOf(FormatException.class)
                .hasMessage(
                        model
                                + " is a folder of a model (it holds model.safetensors), not of records; give a file or folder of data");
    }

    @Test
    void maxTrainSamples_readsOnlyTheFirst() {
        String file =
                References.write(folder, "{\"text\": \"a\"}", "", "{\"text\": \"b\"}", "broken");
        DataConfig config =
                References.settings(
                        "dataset", file,
                        "source_max_len", 9,
                        "target_max_len", 9,
                        "max_train_samples", 2);
        assertThat(load(config).examples()).extracting(Example::line).containsExactly(1, 3);
        assertThatThrownBy(() -> load(References.config(file, DatasetFormat.AUTO, 9, 9)))
                .hasMessageContaining(":4:1: not JSON");
    }

    @Test
    void format_isSaidWithItsReason() {
        String file = References.write(folder, "{\"instruction\": \"a\", \"output\": \"b\"}");
        assertThat(load(References.config(file, DatasetFormat.AUTO, 99, 99)).description())
                .isEqualTo(file + ": format alpaca (the first record has instruction and output)");
        assertThat(load(References.config(file, DatasetFormat.ALPACA, 99, 99)).description())
                .isEqualTo(file + ": format alpaca (set by data.dataset_format)");
    }

    @Test
    void unknownFields_listWhatWouldDo() {
        assertThatThrownBy(() -> load(9, 9, "{\"q\": \"a\", \"solution\": \"b\"}"))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(
                        "train.jsonl:1: the fields [q, solution] fit no known format; say which is which in data.columns, e.g. {user: q, assistant: solution}")
                .hasMessageContaining(
                        "messages, conversations, instruction + instances, instruction + output, prompt + completion,"
                                + " input + output, inputs + targets, prompt + chosen, chosen, text");
    }

    @Test
    void noDatasetOrEmptyFile_isRefused() {
        assertThatThrownBy(() -> load(DataConfig.DEFAULT))
                .isInstanceOf(ConfigException.class)
                .hasMessageStartingWith("data.dataset is not set");
        assertThatThrownBy(() -> load(9, 9, "", " \r"))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("holds no records");
    }

    @Test
    void nothingLeftToLearn_isRefused() {
        // Without a BOS, an empty source and an empty target leave the EOS alone, which nothing
        // predicts.
        String file = References.write(folder, "{\"input\": \"\", \"output\": \"\"}");
        assertThatThrownBy(() ->
                        TrainingSet.load(
                                References.config(file, DatasetFormat.AUTO, 9, 9),
                                tokenizer,
                                new SpecialIds(OptionalInt.empty(), 2, 0),
                                null))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(
                        "none of the 1 records has a token to train on (the first is at line 1)");
    }
}
