package org.qlora4j.train;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.run.TaskMetrics;
import org.qlora4j.testing.PackedJson;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Tasks that are asked while a model learns. */
class TaskEvaluationTest {
    private static final Path TASKS = Path.of("src/test/resources/org/qlora4j/task/tiny");
    private static final JsonMapper JSON = new JsonMapper();

    @TempDir Path folder;

    private RunConfig config(String... settings) {
        List<String> words = new ArrayList<>();
        words.add("quantization.load_in_4bit=false");
        words.add("train.max_steps=3");
        words.addAll(List.of(settings));
        return TinyRun.config(
                folder.resolve("run"), TinyRun.data(folder), words.toArray(String[]::new));
    }

    /** Before the first step they are the base model's: the harness' numbers. */
    @Test
    void tasks_areAskedAtEachEvaluation() throws Exception {
        List<TaskMetrics> told = new ArrayList<>();
        RunConfig config =
                config(
                        "eval.eval_strategy=steps",
                        "eval.eval_steps=2",
                        "eval.eval_on_start=true",
                        "eval.tasks=[%s]".formatted(TASKS.resolve("last.yaml").toAbsolutePath()));
        new TrainingRun(
                        config,
                        false,
                        new TinyRun.Record() {
                            @Override
                            public void tasksAsked(TaskMetrics metrics) {
                                told.add(metrics);
                            }
                        })
                .run();
        assertThat(told).extracting(TaskMetrics::step).containsExactly(0L, 2L, 3L);
        JsonNode expected =
                PackedJson.read(TASKS.resolve("expected.json.gz")).at("/plain/results/tiny_last");
        double before = expected.get("perplexity,none").asDouble();
        assertThat(perplexity(told.getFirst())).isCloseTo(before, within(1e-4 * before));
        assertThat(perplexity(told.getLast())).isNotCloseTo(before, within(1e-3 * before));
        List<JsonNode> lines =
                Files.readAllLines(folder.resolve("run/metrics.jsonl")).stream()
                        .map(JSON::readTree)
                        .filter(line -> line.has("tasks"))
                        .toList();
        assertThat(lines).hasSize(3);
        assertThat(lines.getLast().at("/tasks/tiny_last/perplexity,none").asDouble())
                .isEqualTo(
                        requireNonNull(told.getLast().results().get("tiny_last"))
                                .get("perplexity,none"));
    }

    @Test
    void mistakes_areToldBeforeTheRun() {
        assertThatThrownBy(() -> config("eval.tasks=[mmlu]"))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("eval.tasks are asked at evaluations, and there are none");
        assertThatThrownBy(() ->
                        new TrainingRun(
                                        config("eval.do_eval=true", "eval.tasks=[nothing.yaml]"),
                                        false,
                                        new TinyRun.Record())
                                .run())
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("nothing.yaml does not exist");
        assertThat(folder.resolve("run")).doesNotExist();
    }

    private static double perplexity(TaskMetrics told) {
        return (double)
                requireNonNull(
                        requireNonNull(told.results().get("tiny_last")).get("perplexity,none"));
    }
}
