package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.JsonNode;

/** Several files, mixing, splits and columns; orders are those of Hugging Face's datasets. */
class TrainingSplitsTest {
    private final Tokenizer tokenizer = References.tokenizer("chatml");
    @TempDir Path folder;

    @AfterEach
    void close() {
        tokenizer.close();
    }

    private TrainingSplits load(Object... keysAndValues) {
        return TrainingSplits.load(
                References.settings(keysAndValues),
                tokenizer,
                References.CHATML,
                new Layout.OneText(),
                References.CHATML_TEMPLATE,
                null);
    }

    /** Records whose lines are told apart by their place. */
    private String write(String name, int records) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        Files.write(
                file,
                IntStream.range(0, records).mapToObj(i -> "{\"text\": \"" + i + "\"}").toList());
        return file.toString();
    }

    private static TrainingSet eval(TrainingSplits splits) {
        return Objects.requireNonNull(splits.eval());
    }

    private static List<Integer> lines(TrainingSet set) {
        return set.examples().stream().map(Example::line).toList();
    }

    private static List<String> files(TrainingSet set) {
        return set.examples().stream()
                .map(e -> Path.of(e.file()).getFileName().toString())
                .distinct()
                .toList();
    }

    @Test
    void heldOutExamples_areThoseOfTrainTestSplit() throws IOException {
        for (JsonNode c : References.json("sources/numpy.json.gz").get("split")) {
            TrainingSplits splits =
                    load(
                            "dataset",
                            write("all.jsonl", c.get("n").asInt()),
                            "eval_dataset_size",
                            c.get("size").asDouble(),
                            "data_split_seed",
                            c.get("seed").asInt());
            assertThat(lines(splits.train()))
                    .containsExactly(plusOne(c.get("train")))
                    .hasSizeGreaterThan(6);
            assertThat(lines(eval(splits))).containsExactly(plusOne(c.get("test")));
            assertThat(splits.train().notices())
                    .containsExactly(c.get("test").size() + " examples to evaluate on");
        }
    }

    private static Integer[] plusOne(JsonNode places) {
        return places.valueStream().map(p -> p.asInt() + 1).toArray(Integer[]::new);
    }

    @Test
    void limits_applyAfterTheSplit() throws IOException {
        TrainingSplits splits =
                load(
                        "dataset",
                        write("all.jsonl", 20),
                        "eval_dataset_size",
                        10,
                        "max_train_samples",
                        4,
                        "max_eval_samples",
                        3);
        assertThat(splits.train().examples()).hasSize(4);
        assertThat(eval(splits).examples()).hasSize(3);
        assertThat(lines(splits.train())).doesNotContainAnyElementsOf(lines(eval(splits)));
    }

    @Test
    void everythingHeldOut_isRefused() throws IOException {
        String file = write("all.jsonl", 5);
        assertThatThrownBy(() -> load("dataset", file, "eval_dataset_size", 5))
                .isInstanceOf(ConfigException.class)
                .hasMessage("data.eval_dataset_size 5 holds out all of the 5 examples; lower it");
    }

    @Test
    void evalDataset_isReadBesideTheOther() throws IOException {
        TrainingSplits splits =
                load(
                        "dataset",
                        write("a.jsonl", 4),
                        "eval_dataset",
                        write("b.jsonl", 3),
                        "eval_dataset_size",
                        0.5);
        assertThat(lines(splits.train())).containsExactly(1, 2, 3, 4);
        assertThat(files(eval(splits))).containsExactly("b.jsonl");
        assertThat(eval(splits).examples()).hasSize(3);
    }

    @Test
    void partsWithoutWeights_followEachOther() throws IOException {
        write("many/1.jsonl", 2);
        write("many/2.jsonl", 2);
        write("many/no.txt", 2);
        String one = write("one.jsonl", 3);
        TrainingSet set =
                load("dataset", List.of(folder.resolve("many/*.jsonl").toString(), one)).train();
        assertThat(files(set)).containsExactly("1.jsonl", "2.jsonl", "one.jsonl");
        assertThat(lines(set)).containsExactly(1, 2, 1, 2, 1, 2, 3);
        assertThat(set.report(DataConfig.DEFAULT).getFirst())
                .endsWith("1.jsonl: format text (the first record has text)"); // said once
        TrainingSet limited =
                load(
                                "dataset",
                                List.of(Map.of("path", one, "max_samples", 2), one),
                                "max_train_samples",
                                4)
                        .train();
        assertThat(lines(limited)).containsExactly(1, 2, 1, 2);
    }

    @Test
    void weights_mixAsInterleaveDatasets() throws IOException {
        JsonNode c =
                References.json("sources/numpy.json.gz").get("interleave").get(2); // [3, 4, 30]
        assertThat(c.get("stop").asString()).isEqualTo("first_exhausted");
        TrainingSet set =
                load(
                                "dataset",
                                List.of(
                                        Map.of("path", write("a.jsonl", 3), "weight", 1),
                                        Map.of("path", write("b.jsonl", 4), "weight", 2),
                                        Map.of("path", write("c.jsonl", 30), "weight", 7)),
                                "data_split_seed",
                                c.get("seed").asInt())
                        .train();
        List<Integer> firsts = List.of(0, 3, 7);
        assertThat(
                        set.examples().stream()
                                .map(e ->
                                        firsts.get(
                                                        Path.of(e.file())
                                                                        .getFileName()
                                                                        .toString()
                                                                        .charAt(0)
                                                                - 'a')
                                                + e.line()
                                                - 1))
                .containsExactly(
                        c.get("order").valueStream().map(JsonNode::asInt).toArray(Integer[]::new));
        assertThat(set.notices().getFirst()).startsWith("mixed by weight: ");
        assertThat(set.lengths()).hasSize(c.get("order").size());
    }

    @Test
    void folder_isSplitByTheNamesOfItsFiles() throws IOException {
        write("set/data/train-00000-of-00002.jsonl", 2);
        write("set/data/train-00001-of-00002.jsonl", 2);
        write("set/data/validation-00000-of-00001.jsonl", 1);
        write("set/.hidden.jsonl", 9);
        String set = folder.resolve("set").toString();
        assertThat(load("dataset", set).train().examples()).hasSize(4);
        TrainingSplits splits = load("dataset", set, "eval_dataset", set);
        assertThat(files(eval(splits))).containsExactly("validation-00000-of-00001.jsonl");
        assertThatThrownBy(() -> load("dataset", List.of(Map.of("path", set, "split", "test"))))
                .isInstanceOf(FormatException.class)
                .hasMessage(
                        set
                                + " has no split test; it has train, validation; name one with split, or as org/name:split");
        write("plain/a.jsonl", 2);
        write("plain/b.jsonl", 2);
        assertThat(load("dataset", folder.resolve("plain").toString()).train().examples())
                .hasSize(4);
    }

    @Test
    void twoColumns_becomeAChat() throws IOException {
        Path csv = Files.writeString(folder.resolve("a.csv"), "Question,Answer\nhi,ho\n");
        Path chats =
                Files.writeString(
                        folder.resolve("b.jsonl"),
                        "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":\"ho\"}]}");
        TrainingSet found = load("dataset", csv.toString()).train();
        assertThat(found.fingerprint())
                .isEqualTo(load("dataset", chats.toString()).train().fingerprint());
        assertThat(found.description())
                .endsWith(
                        "; columns Question as user, Answer as assistant (found by their names; data.columns sets others)");
        TrainingSet given =
                load(
                                "dataset",
                                csv.toString(),
                                "columns",
                                Map.of("prompt", "Question", "completion", "Answer"))
                        .train();
        assertThat(given.description()).contains("format prompt-completion");
        assertThat(given.fingerprint()).isNotEqualTo(found.fingerprint());
    }

    @Test
    void columnsThatAreNotThere_areListed() throws IOException {
        Path csv = Files.writeString(folder.resolve("a.csv"), "q,solution\nhi,ho\n");
        assertThatThrownBy(() ->
                        load("dataset", csv.toString(), "columns", Map.of("user", "question")))
                .isInstanceOf(FormatException.class)
                .hasMessage(
                        csv
                                + ":2: data.columns takes user from the column question, which is not there; the columns are q, solution");
        assertThatThrownBy(() -> load("dataset", csv.toString()))
                .hasMessageStartingWith(
                        csv
                                + ":2: the fields [q, solution] fit no known format; say which is which in data.columns, e.g. {user: q, assistant: solution}");
    }

    private void text(String name, String text) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    @Test
    void folderOfTexts_isOneDocumentAFile() throws IOException {
        text("b/testing.md", "### Human: no dialogue");
        text("a.txt", "first");
        text("c.md", " \n");
        text("d.txt", "");
        TrainingSet set = load("dataset", folder.toString()).train();
        assertThat(files(set)).containsExactly("a.txt", "testing.md");
        assertThat(set.report(References.settings()))
                .anyMatch(line -> line.contains("format text (each file is one text)"))
                .contains(folder + ": left out, for there is no letter in them: c.md, d.txt");
        assertThat(files(load("dataset", folder + "/**.md").train())).containsExactly("testing.md");
        assertThat(files(load("dataset", folder.resolve("a.txt").toString()).train()))
                .containsExactly("a.txt");
    }

    @Test
    void foldersOfTexts_areSplitsWhereOneIsNamedTrain() throws IOException {
        text("test/a.txt", "first");
        text("other/train.md", "second");
        assertThat(files(load("dataset", folder.toString()).train()))
                .containsExactly("train.md", "a.txt");
        text("train/testing.txt", "third");
        text("val/b.txt", "fourth");
        TrainingSplits splits =
                load("dataset", folder.toString(), "eval_dataset", folder.toString());
        assertThat(files(splits.train())).containsExactly("testing.txt");
        assertThat(files(eval(splits))).containsExactly("b.txt");
    }

    /** A README describes a folder; other texts beside records are named. */
    @Test
    void textsBesideRecords_areNotReadAndSaid() throws IOException {
        write("a.jsonl", 2);
        text("README.md", "what it is");
        assertThat(load("dataset", folder.toString()).train().report(References.settings()))
                .noneMatch(line -> line.contains("not read"));
        text("notes.txt", "more");
        for (String name : List.of(folder.toString(), folder + "/*")) {
            TrainingSet set = load("dataset", name).train();
            assertThat(files(set)).containsOnly("a.jsonl");
            assertThat(set.report(References.settings()))
                    .anyMatch(line ->
                            line.contains(
                                    "raw texts beside files of records are not read: notes.txt"));
        }
    }

    @Test
    void globWithoutFiles_isRefused() {
        assertThatThrownBy(() -> load("dataset", folder.resolve("*.jsonl").toString()))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("*.jsonl fits no file in");
    }

    @Test
    void badParts_areRefused() {
        assertThatThrownBy(() -> load("dataset", List.of(Map.of("path", "a", "wieght", 1))))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("unknown key wieght; there are path, name, split, weight");
        assertThatThrownBy(() -> load("dataset", List.of(Map.of("path", "a", "weight", 1), "b")))
                .hasMessageContaining("none for b");
        assertThatThrownBy(() -> load("dataset", List.of(Map.of("path", "a", "weight", 0))))
                .hasMessageContaining("must be above 0");
    }
}
