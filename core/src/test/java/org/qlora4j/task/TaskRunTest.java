package org.qlora4j.task;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.LanguageModel;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.testing.PackedJson;
import org.qlora4j.testing.TinyLlama;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Expected: what lm-evaluation-harness 0.4.13 makes of the same tasks, by make_task_reference.py.
 */
class TaskRunTest {
    private static final Path FOLDER = Path.of("src/test/resources/org/qlora4j/task/tiny");
    private static final JsonMapper JSON = new JsonMapper();
    private static final LanguageModel MODEL =
            LanguageModel.load(
                    TinyLlama.folder(),
                    QuantConfig.DEFAULT.withLoad4bit(false).withComputeDtype(ComputeDtype.FLOAT32));

    @AfterAll
    static void free() {
        MODEL.close();
    }

    private static JsonNode expected(String variant) {
        return PackedJson.read(FOLDER.resolve("expected.json.gz")).get(variant);
    }

    private static TaskSuite suite(JsonNode variant) {
        Map<String, String> files =
                Map.of(
                        "tiny_sums", "tiny_sums",
                        "tiny_yes", "yes",
                        "tiny_blank", "blank",
                        "tiny_last", "last",
                        "tiny_texts", "texts",
                        "tiny_write", "write");
        List<String> names = new ArrayList<>();
        for (JsonNode task : variant.get("tasks")) {
            names.add(FOLDER.resolve(files.get(task.asString()) + ".yaml").toString());
        }
        JsonNode options = variant.get("options");
        return TaskSuite.load(
                names,
                new TaskOptions(
                        options.has("num_fewshot") ? options.get("num_fewshot").asInt() : null,
                        options.path("limit").asDouble(0),
                        options.path("apply_chat_template").asBoolean(false),
                        options.path("fewshot_as_multiturn").asBoolean(false),
                        options.has("system_instruction")
                                ? options.get("system_instruction").asString()
                                : null,
                        1234,
                        2000));
    }

    @ParameterizedTest
    @ValueSource(strings = {"plain", "limited", "share", "chat", "one_turn"})
    void numbersAndAnswers_areTheHarness(String name, @TempDir Path folder) throws IOException {
        JsonNode variant = expected(name);
        Path file = folder.resolve("log.jsonl");
        TaskResults results;
        try (TaskLog log = TaskLog.open(file, "tiny")) {
            results = MODEL.evaluate(suite(variant), 100, 3, log, done -> {});
        }
        assertDocuments(variant.get("documents"), file);
        for (Map.Entry<String, JsonNode> task : variant.get("results").properties()) {
            Map<String, Object> got =
                    requireNonNull(results.results().get(task.getKey()), task.getKey());
            for (Map.Entry<String, JsonNode> metric : task.getValue().properties()) {
                String key = metric.getKey();
                if (key.equals("sample_len") || key.contains(",")) {
                    assertMetric(
                            task.getKey() + " " + key,
                            metric.getValue(),
                            requireNonNull(got.get(key)));
                }
            }
        }
    }

    @Test
    void wholeTexts_areAsLikelyAsTheHarnessSays() {
        List<String> texts = new ArrayList<>();
        List<Double> harness = new ArrayList<>();
        for (JsonNode document : expected("plain").get("documents")) {
            if (document.get("task").asString().equals("tiny_texts")) {
                texts.add(document.get("arguments").get(0).get(0).asString());
                harness.add(document.get("resps").get(0).get(0).asDouble());
            }
        }
        assertThat(texts).hasSizeGreaterThan(5);
        List<TextLikelihood> got = MODEL.logLikelihoods(texts, 100);
        for (int i = 0; i < texts.size(); i++) {
            double sum = harness.get(i);
            assertThat(got.get(i).logLikelihood())
                    .as(texts.get(i))
                    .isCloseTo(sum, within(1e-4 * Math.max(1, -sum)));
        }
        String shorter = texts.get(1);
        int tokens = MODEL.logProbabilities(List.of(shorter)).getFirst().tokens().size();
        assertThat(got.get(1).tokens()).isEqualTo(tokens); // the tokenizer's own BOS among them
    }

    private static void assertMetric(String what, JsonNode expected, Object got) {
        if (expected.isString()) {
            assertThat(got).as(what).isEqualTo(expected.asString());
        } else {
            assertThat(got).as(what).isInstanceOf(Number.class);
            double value = expected.asDouble();
            assertThat(((Number) got).doubleValue())
                    .as(what)
                    .isCloseTo(value, within(1e-9 + 1e-4 * Math.abs(value)));
        }
    }

    private static void assertDocuments(JsonNode expected, Path file) throws IOException {
        Map<String, JsonNode> got = new HashMap<>();
        for (String line : Files.readAllLines(file)) {
            JsonNode entry = JSON.readTree(line);
            got.put(entry.get("task").asString() + " " + entry.get("doc_id").asInt(), entry);
        }
        for (JsonNode document : expected) {
            String what = document.get("task").asString() + " " + document.get("doc_id").asInt();
            JsonNode entry = requireNonNull(got.get(what), what);
            assertThat(entry.get("arguments").toString())
                    .as(what)
                    .isEqualTo(document.get("arguments").toString());
            for (int i = 0; i < document.get("resps").size(); i++) {
                JsonNode ours = entry.get("resps").get(i);
                JsonNode theirs = document.get("resps").get(i);
                assertThat(ours.size()).as(what).isEqualTo(theirs.size());
                for (int repeat = 0; repeat < theirs.size(); repeat++) {
                    assertResponse(what, ours.get(repeat), theirs.get(repeat));
                }
            }
        }
    }

    private static void assertResponse(String what, JsonNode ours, JsonNode theirs) {
        if (theirs.isString()) {
            assertThat(ours.asString()).as(what).isEqualTo(theirs.asString());
            return;
        }
        JsonNode number = theirs.isArray() ? theirs.get(0) : theirs;
        String text = ours.isArray() ? ours.get(0).asString() : ours.asString();
        assertThat(Double.parseDouble(text))
                .as(what)
                .isCloseTo(number.asDouble(), within(1e-4 * Math.max(1, -number.asDouble())));
        if (theirs.isArray()) {
            assertThat(ours.get(1).asString().equals("True"))
                    .as(what)
                    .isEqualTo(theirs.get(1).asBoolean());
        }
    }

    private static String place(String line) {
        JsonNode entry = JSON.readTree(line);
        return entry.get("task") + " " + entry.get("doc_id") + " " + entry.get("arguments");
    }

    /**
     * A killed run leaves whole lines and perhaps a torn one; what they answer is not asked again.
     */
    @Test
    void log_isGoneOnWith(@TempDir Path folder) throws IOException {
        JsonNode variant = expected("limited");
        Path file = folder.resolve("log.jsonl");
        try (TaskLog log = TaskLog.open(file, "tiny")) {
            MODEL.evaluate(suite(variant), 100, 3, log, done -> {});
        }
        List<String> whole = Files.readAllLines(file);
        List<String> half = whole.subList(0, whole.size() / 2);
        Files.writeString(file, String.join("\n", half) + "\n" + whole.getLast().substring(0, 30));
        List<Integer> progress = new ArrayList<>();
        try (TaskLog log = TaskLog.open(file, "tiny")) {
            MODEL.evaluate(suite(variant), 100, 3, log, progress::add);
        }
        assertThat(progress.getFirst()).isEqualTo(half.size());
        assertThat(progress.getLast()).isEqualTo(whole.size());
        List<String> again = Files.readAllLines(file);
        assertThat(again.subList(0, half.size())).isEqualTo(half);
        // the others were scored beside others, which changes last bits
        assertThat(again.stream().map(TaskRunTest::place).toList())
                .isEqualTo(whole.stream().map(TaskRunTest::place).toList());
        assertThatThrownBy(() -> TaskLog.open(file, "another"))
                .hasMessageContaining("another model or other settings");
    }

    /** Expected: the logits that qlora.py's callback compares, made by transformers. */
    @Test
    void mmluOfQlora_ranksTheLettersAsTransformers(@TempDir Path folder) throws IOException {
        Path questions = FOLDER.resolveSibling("qlora-mmlu.jsonl");
        JsonNode expected =
                JSON.readTree(FOLDER.resolveSibling("qlora-mmlu-expected.json").toFile());
        Path file = folder.resolve("log.jsonl");
        TaskResults results;
        try (TaskLog log = TaskLog.open(file, "tiny")) {
            TaskSuite suite = TaskSuite.load(List.of(questions.toString()), TaskOptions.DEFAULT);
            results = MODEL.evaluate(suite, 100, 3, log, done -> {});
        }
        double[] right = new double[2];
        Map<String, JsonNode> got = new HashMap<>();
        for (String line : Files.readAllLines(file)) {
            JsonNode entry = JSON.readTree(line);
            got.put(entry.get("doc").get("input").asString(), entry);
        }
        List<String> lines = Files.readAllLines(questions);
        for (int i = 0; i < lines.size(); i++) {
            JsonNode question = JSON.readTree(lines.get(i));
            JsonNode resps = requireNonNull(got.get(question.get("input").asString())).get("resps");
            int best = 0;
            for (int letter = 0; letter < 4; letter++) {
                double log = expected.get(i).get(letter).asDouble();
                best = log > expected.get(i).get(best).asDouble() ? letter : best;
                assertThat(Double.parseDouble(resps.get(letter).get(0).get(0).asString()))
                        .as("question %d, letter %d", i, letter)
                        .isCloseTo(log, within(1e-4));
            }
            right[i % 2] +=
                    question.get("output").asString().equals("ABCD".substring(best, best + 1))
                            ? 1
                            : 0;
        }
        // five questions of one subject, four of the other, which count alike
        Map<String, Object> scores = requireNonNull(results.results().get("qlora-mmlu"));
        assertThat((double) requireNonNull(scores.get("acc,none")))
                .isCloseTo((right[0] / 5 + right[1] / 4) / 2, within(1e-12));
    }
}
