package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code eval tasks} and {@code eval compare}; expected are lm-evaluation-harness' numbers. */
class EvalTasksCommandTest {
    private static final Path TASKS = TrainBed.resource("org/qlora4j/task/tiny");
    private static final JsonMapper JSON = new JsonMapper();

    @TempDir Path folder;
    private TrainBed bed;

    @BeforeEach
    void layOut() {
        bed = new TrainBed(folder);
    }

    private int eval(String command, String... more) {
        List<String> args = new ArrayList<>(List.of("eval", command));
        for (String task : List.of("tiny_sums", "yes", "last", "write")) {
            args.add(TASKS.resolve(task + ".yaml").toString());
        }
        args.addAll(List.of("--model", bed.model().toString(), "--no-quantize"));
        args.addAll(List.of("quantization.bnb_4bit_compute_dtype=float32", "--json"));
        args.addAll(List.of("--bootstrap-iters", "2000"));
        args.addAll(List.of(more));
        return bed.command(args.toArray(String[]::new));
    }

    @Test
    void jsonAndLog_areTheHarnessNumbersAlsoWhenResumed() throws IOException {
        Path log = folder.resolve("log.jsonl");
        assertThat(eval("tasks", "--log", log.toString())).as("%s", bed.err()).isZero();
        JsonNode results = JSON.readTree(bed.out()).get("results");
        JsonNode expected = packed(TASKS.resolve("expected.json.gz")).get("plain").get("results");
        int compared = assertNumbers(results, expected, 1e-4);
        assertThat(compared).isGreaterThan(30);

        // half a log, whose last line a kill has cut
        List<String> lines = Files.readAllLines(log);
        int half = lines.size() / 2;
        Files.writeString(log, String.join("\n", lines.subList(0, half)) + "\n{\"task\": \"ti");
        assertThat(eval("tasks", "--log", log.toString())).as("%s", bed.err()).isZero();
        // but for the last bits, as other texts stand beside each
        assertNumbers(JSON.readTree(bed.out()).get("results"), results, 1e-5);
        assertThat(Files.readAllLines(log)).hasSameSizeAs(lines);
    }

    /** Compares what both have and the first names; how many numbers that is. */
    private static int assertNumbers(JsonNode results, JsonNode expected, double relative) {
        int compared = 0;
        for (Map.Entry<String, JsonNode> task : results.properties()) {
            for (Map.Entry<String, JsonNode> metric : task.getValue().properties()) {
                JsonNode theirs = expected.get(task.getKey()).get(metric.getKey());
                if (theirs != null && theirs.isNumber()) {
                    double value = theirs.asDouble();
                    assertThat(metric.getValue().asDouble())
                            .as("%s %s", task.getKey(), metric.getKey())
                            .isCloseTo(value, within(1e-9 + relative * Math.abs(value)));
                    compared++;
                }
            }
        }
        return compared;
    }

    @Test
    void compare_countsWhatAnAdapterChanged() throws IOException {
        assertThat(bed.train()).as("%s", bed.err()).isEqualTo(ExitCode.OK);
        Path before = folder.resolve("before.jsonl");
        Path after = folder.resolve("after.jsonl");
        assertThat(
                        eval(
                                "compare",
                                "--adapter",
                                bed.run().toString(),
                                "--log-before",
                                before.toString(),
                                "--log-after",
                                after.toString()))
                .as("%s", bed.err())
                .isZero();
        JsonNode all = JSON.readTree(bed.out()).get("results");
        JsonNode acc = all.get("tiny_sums_drawn").get("acc,none");
        double[] first = accuracies(before);
        double[] second = accuracies(after);
        int learnt = 0;
        int forgotten = 0;
        for (int i = 0; i < first.length; i++) {
            learnt += second[i] > first[i] ? 1 : 0;
            forgotten += second[i] < first[i] ? 1 : 0;
        }
        assertThat(acc.get("documents").asInt()).isEqualTo(first.length);
        assertThat(acc.get("learnt").asInt()).isEqualTo(learnt);
        assertThat(acc.get("forgotten").asInt()).isEqualTo(forgotten);
        assertThat(acc.get("difference").asDouble())
                .isCloseTo((learnt - forgotten) / (double) first.length, within(1e-12));
        // the log-likelihoods themselves must have moved
        JsonNode perplexity = all.get("tiny_last").get("perplexity,none");
        assertThat(perplexity.get("after").asDouble())
                .isNotCloseTo(perplexity.get("before").asDouble(), within(1e-6));
    }

    private static double[] accuracies(Path log) throws IOException {
        return Files.readAllLines(log).stream()
                .map(JSON::readTree)
                .filter(line -> line.get("task").asString().equals("tiny_sums_drawn"))
                .mapToDouble(line -> line.get("acc").asDouble())
                .toArray();
    }

    @Test
    void mistakes_areOneLineBeforeTheModelIsLoaded() throws IOException {
        bed.assertOneLine(
                bed.command("eval", "tasks", "bbh_zeroshto", "--model", bed.model().toString()),
                "no task is called bbh_zeroshto, did you mean bbh_zeroshot?");
        Path log = folder.resolve("other.jsonl");
        Files.writeString(log, "{\"task\": \"t\", \"doc_id\": 0, \"model\": \"other\"}\n");
        bed.assertOneLine(
                eval("tasks", "--log", log.toString()), "is of another model or other settings");
        bed.assertOneLine(
                eval("tasks", "train.max_steps=3"),
                "only settings of section quantization count here");
    }

    private static JsonNode packed(Path file) throws IOException {
        try (InputStream in = new GZIPInputStream(Files.newInputStream(file))) {
            return JSON.readTree(in);
        }
    }
}
