package org.qlora4j.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.JsonNumber;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Shown;
import org.qlora4j.report.Chart.Point;
import org.qlora4j.run.RunFolder;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What a run has written about itself: {@code metrics.jsonl}, {@code samples.jsonl}, {@code
 * predictions.jsonl}.
 *
 * @param steps lines of logged steps, by rising step
 * @param evaluations lines of evaluations, by rising step
 * @param samples answers to the sample prompts, as they came
 * @param predictions answers to the held-out examples at the end
 */
record RunHistory(
        List<JsonNode> steps,
        List<JsonNode> evaluations,
        List<JsonNode> samples,
        List<JsonNode> predictions) {
    private static final Set<String> NO_NUMBERS = Set.of("NaN", "Infinity", "-Infinity");
    private static final JsonMapper JSON = new JsonMapper();

    /** Reads a run folder; a file that is not there counts as empty. */
    static RunHistory read(Path run) {
        List<JsonNode> metrics = lines(new RunFolder(run).metricsFile(), true);
        return new RunHistory(
                metrics.stream().filter(m -> m.has("loss")).toList(),
                metrics.stream().filter(m -> m.has("eval_loss")).toList(),
                lines(new RunFolder(run).samplesFile(), false),
                lines(new RunFolder(run).predictionsFile(), false));
    }

    /**
     * @param ofNumbers whether all that a line holds are numbers, but for the results of tasks
     * @throws FormatException naming the line, if one holds what no run writes
     */
    private static List<JsonNode> lines(Path file, boolean ofNumbers) {
        List<JsonNode> out = new ArrayList<>();
        if (!Files.isRegularFile(file)) {
            return out;
        }
        try {
            int number = 0;
            for (String text : Files.readAllLines(file)) {
                number++;
                try {
                    JsonNode line = JSON.readTree(text);
                    check(line, ofNumbers, file, number);
                    out.add(line);
                } catch (JacksonException e) {
                    // the last line of a run that is being written, or was killed
                }
            }
            return out;
        } catch (IOException e) {
            throw new DeviceException(file + " cannot be read: " + AtomicFiles.reason(e), e);
        }
    }

    private static void check(JsonNode line, boolean ofNumbers, Path file, int number) {
        line.forEachEntry((key, value) -> {
            boolean isFine =
                    key.equals("step")
                            ? value.isIntegralNumber() && value.canConvertToLong()
                            : !ofNumbers || key.equals("tasks") || isNumber(value);
            if (!isFine) {
                throw FormatException.of(
                        "%s:%d: %s must be %s, got %s; remove the line",
                        file,
                        number,
                        key,
                        key.equals("step") ? "a whole number" : "a number",
                        Shown.of(value));
            }
        });
    }

    /** JSON has no NaN: it stands there as text, or as null. */
    private static boolean isNumber(JsonNode value) {
        return value.isNumber()
                ? Double.isFinite(JsonNumber.of(value))
                : value.isNull() || NO_NUMBERS.contains(value.asString(""));
    }

    /** A value of the logged steps. */
    List<Point> ofSteps(String key) {
        return points(steps, key);
    }

    /** A value of the evaluations. */
    List<Point> ofEvaluations(String key) {
        return points(evaluations, key);
    }

    private static List<Point> points(List<JsonNode> lines, String key) {
        return lines.stream()
                .filter(line -> line.path(key).isNumber())
                .map(line -> new Point(line.path("step").asLong(0), drawn(line.path(key))))
                .toList();
    }

    /** What no axis could span, such as the perplexity of a run that broke, counts as infinite. */
    private static double drawn(JsonNode number) {
        double value = JsonNumber.of(number);
        return Math.abs(value) <= 1e100 ? value : Math.copySign(Double.POSITIVE_INFINITY, value);
    }
}
