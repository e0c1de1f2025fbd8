package org.qlora4j.task;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.task.TaskConfig.Metric;
import org.qlora4j.testing.PackedJson;
import tools.jackson.databind.JsonNode;

/**
 * Expected: what the harness' own tasks ask and count for made-up documents, by
 * make_task_reference.py.
 */
class BuiltInTasksTest {
    private static final Map<String, JsonNode> EXPECTED =
            expected("built-in.json.gz", "ifeval.json.gz");

    /** No task here asks for a chat, and the answers are made up. */
    private static final TaskModel NOBODY =
            new TaskModel() {
                @Override
                public void answer(
                        List<TaskRequest> requests, BiConsumer<Integer, TaskResponse> done) {
                    throw new AssertionError();
                }

                @Override
                public String chat(List<Map<String, String>> messages, boolean open) {
                    throw new AssertionError();
                }
            };

    private static Map<String, JsonNode> expected(String... files) {
        Map<String, JsonNode> out = new LinkedHashMap<>();
        for (String file : files) {
            Path path = Path.of("src/test/resources/org/qlora4j/task", file);
            JsonNode tasks = PackedJson.read(path);
            tasks.properties().forEach(task -> out.put(task.getKey(), task.getValue()));
        }
        return out;
    }

    static Stream<String> names() {
        return EXPECTED.keySet().stream();
    }

    private static Task task(String name, JsonNode expected, Path folder) throws IOException {
        StringBuilder lines = new StringBuilder();
        expected.get("documents").forEach(document -> lines.append(document).append('\n'));
        Path file = folder.resolve("documents.jsonl");
        Files.writeString(file, lines);
        Map<String, Object> keys = new LinkedHashMap<>(TaskYaml.read(TaskFile.builtIn(name)));
        Map<String, Object> files = new LinkedHashMap<>();
        for (String split : List.of("train", "validation", "test", "dev")) {
            files.put(split, file.toString());
        }
        keys.put("dataset_path", "json");
        keys.put("dataset_kwargs", Map.of("data_files", files));
        TaskConfig config = TaskConfigReader.read(keys, TaskFile.builtIn(name));
        int shots = expected.get("num_fewshot").asInt();
        return Task.load(config, new TaskOptions(shots, 0, false, false, null, 1234, 0));
    }

    @ParameterizedTest
    @MethodSource("names")
    void builtInTask_asksAndCountsAsTheHarness(String name, @TempDir Path folder)
            throws IOException {
        JsonNode expected = requireNonNull(EXPECTED.get(name));
        Task task = task(name, expected, folder);
        List<List<TaskRequest>> requests = task.requests(TaskOptions.DEFAULT, NOBODY);
        for (int number = 0; number < requests.size(); number++) {
            JsonNode asked = expected.get("asked").get(number);
            List<List<String>> wanted = new ArrayList<>();
            for (JsonNode arguments : asked.get("arguments")) {
                wanted.add(arguments.valueStream().map(JsonNode::asString).toList());
            }
            assertThat(requests.get(number).stream().map(BuiltInTasksTest::arguments).toList())
                    .as("document %d", number)
                    .isEqualTo(wanted);
            for (int i = 0; i < asked.get("counts").size(); i++) {
                JsonNode text = expected.get("texts").get(i);
                assertCounts(
                        task,
                        number,
                        text == null ? null : text.asString(),
                        asked.get("counts").get(i),
                        wanted.size());
            }
        }
    }

    private static List<String> arguments(TaskRequest request) {
        return switch (request) {
            case TaskRequest.LogLikelihood(String context, String continuation) ->
                    List.of(context, continuation);
            case TaskRequest.NextToken(String context, String continuation) ->
                    List.of(context, continuation);
            case TaskRequest.Rolling(String text) -> List.of(text);
            case TaskRequest.Generate g -> List.of(g.context());
        };
    }

    /** Answers as the script makes them up. */
    private static List<TaskResponse> responses(
            Task task, int number, @Nullable String text, int count) {
        List<TaskResponse> out = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            double log = -1.0 - 0.75 * ((number + 2 * i) % 3);
            out.add(
                    switch (task.config().output()) {
                        case GENERATE_UNTIL -> new TaskResponse.Generated(requireNonNull(text));
                        case LOGLIKELIHOOD_ROLLING -> new TaskResponse.Rolled(log);
                        case LOGLIKELIHOOD, MULTIPLE_CHOICE ->
                                new TaskResponse.Likelihood(log, i % 2 == 0);
                    });
        }
        return out;
    }

    private static void assertCounts(
            Task task, int number, @Nullable String text, JsonNode expected, int requests) {
        Map<String, Object> document = task.evaluated().get(number);
        List<TaskResponse> responses = responses(task, number, text, requests);
        assertThat(task.config().filters().stream().map(FilterChain::name).toList())
                .containsExactlyElementsOf(expected.propertyNames());
        for (FilterChain chain : task.config().filters()) {
            Map<String, double[]> got =
                    new TaskCounts(task).of(document, TaskRun.filtered(chain, responses, document));
            JsonNode values = expected.get(chain.name());
            assertThat(got.keySet()).containsExactlyElementsOf(values.propertyNames());
            got.forEach((metric, value) -> {
                JsonNode one = values.get(metric);
                double[] wanted =
                        one.isArray()
                                ? one.valueStream().mapToDouble(JsonNode::asDouble).toArray()
                                : new double[] {one.asDouble()};
                assertThat(value)
                        .as("document %d, %s,%s of %s", number, metric, chain.name(), text)
                        .containsExactly(wanted, within(1e-12));
            });
        }
    }

    @ParameterizedTest
    @MethodSource("names")
    void metrics_areAggregatedAsTheHarness(String name, @TempDir Path folder) throws IOException {
        JsonNode expected = requireNonNull(EXPECTED.get(name));
        JsonNode metrics = expected.get("metrics");
        List<Metric> own = task(name, expected, folder).config().metrics();
        assertThat(own.stream().map(Metric::name).toList())
                .containsExactlyElementsOf(metrics.propertyNames());
        for (Metric metric : own) {
            JsonNode wanted = metrics.get(metric.name());
            assertThat(metric.aggregation().key()).isEqualTo(wanted.get(0).asString());
            assertThat(metric.higherIsBetter()).isEqualTo(wanted.get(1).asBoolean());
        }
    }

    @Test
    void everyName_isATaskOrGroup() {
        assertThat(BuiltInTasks.names()).hasSize(17);
        for (String name : BuiltInTasks.names()) {
            Map<String, Object> keys = TaskYaml.read(TaskFile.builtIn(name));
            assertThat(keys.get(keys.containsKey("group") ? "group" : "task")).isEqualTo(name);
        }
        int subjects = 0;
        for (Object group :
                (List<?>) requireNonNull(TaskYaml.read(TaskFile.builtIn("mmlu")).get("task"))) {
            Map<String, Object> keys = TaskYaml.read(TaskFile.builtIn(String.valueOf(group)));
            for (Object subject : (List<?>) requireNonNull(keys.get("task"))) {
                TaskFile file = TaskFile.builtIn(String.valueOf(subject));
                assertThat(TaskConfigReader.read(TaskYaml.read(file), file).name())
                        .isEqualTo(subject);
                subjects++;
            }
        }
        assertThat(subjects).isEqualTo(57);
    }

    @ParameterizedTest
    @CsvSource({
        "bbh_zeroshot, 27",
        "bbh_cot_zeroshot, 27",
        "agieval, 21",
        "agieval_en, 10",
        "agieval_cn, 11",
        "agieval_nous, 8"
    })
    void group_namesTasksThatExist(String name, int count) {
        List<?> tasks = (List<?>) TaskYaml.read(TaskFile.builtIn(name)).get("task");
        assertThat(requireNonNull(tasks)).hasSize(count).doesNotHaveDuplicates();
        for (Object task : tasks) {
            TaskFile file = TaskFile.builtIn(String.valueOf(task));
            assertThat(TaskConfigReader.read(TaskYaml.read(file), file).name()).isEqualTo(task);
        }
    }

    /** The table as its authors released it, whose first column has no name. */
    @Test
    void tableOfCrowsPairs_isATaskForEachKindOfBias(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("crows.csv");
        Files.writeString(
                file,
                """
                ,sent_more,sent_less,stereo_antistereo,bias_type
                0,"Ann, said so.",Bo said so.,stereo,gender
                1,He is old.,He is new.,antistereo,age
                2,One.,Two.,stereo,gender
                """);
        TaskSuite suite = TaskSuite.load(List.of(file.toString()), TaskOptions.DEFAULT);
        assertThat(suite.names()).containsExactly("crows_gender", "crows_age");
        // the first of each pair is likelier but in the third
        TaskModel model =
                new TaskModel() {
                    @Override
                    public void answer(
                            List<TaskRequest> requests, BiConsumer<Integer, TaskResponse> done) {
                        double[] logs = {-1, -2, -4, -3.5, -5, -6};
                        assertThat(arguments(requests.getFirst()))
                                .containsExactly("", "Ann, said so.");
                        for (int i = 0; i < requests.size(); i++) {
                            done.accept(i, new TaskResponse.Likelihood(logs[i], false));
                        }
                    }

                    @Override
                    public String chat(List<Map<String, String>> messages, boolean open) {
                        throw new AssertionError();
                    }
                };
        TaskResults results = TaskRun.run(suite, model, null, done -> {});
        Map<String, Object> all = requireNonNull(results.results().get("crows"));
        assertThat((double) requireNonNull(all.get("pct_stereotype,none")))
                .isCloseTo(2 / 3.0, within(1e-12));
        assertThat((double) requireNonNull(all.get("likelihood_diff,none")))
                .isCloseTo(2.5 / 3, within(1e-12));
    }

    /** A language has no plain rule; with nothing else left there is nothing to count. */
    @Test
    void instructionsThatAreNoRules_leaveTheirDocumentsOut() {
        Map<String, Object> rule = Map.of("instruction_id_list", List.of("punctuation:no_comma"));
        Map<String, Object> other =
                Map.of(
                        "instruction_id_list",
                        List.of("punctuation:no_comma", "language:response_language"));
        assertThat(InstructionRules.checkable(List.of(other, rule), "t")).containsExactly(rule);
        assertThatThrownBy(() -> InstructionRules.checkable(List.of(other), "t"))
                .hasMessage("t: no document has only instructions that are plain rules");
        Map<String, Object> lacks =
                Map.of(
                        "instruction_id_list",
                        List.of("detectable_content:number_placeholders"),
                        "kwargs",
                        List.of(Map.of()));
        assertThatThrownBy(() -> InstructionRules.counts(lacks, "[a]"))
                .hasMessageContaining("num_placeholders must be a whole number, got null");
    }
}
