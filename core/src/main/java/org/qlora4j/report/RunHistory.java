package org.qlora4j.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.error.DeviceException;
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
    private static final JsonMapper JSON = new JsonMapper();

    /** Reads a run folder; a file that is not there counts as empty. */
    static RunHistory read(Path run) {
        List<JsonNode> metrics = lines(run.resolve("metrics.jsonl"));
        return new RunHistory(
                metrics.stream().filter(m -> m.has("loss")).toList(),
                metrics.stream().filter(m -> m.has("eval_loss")).toList(),
                lines(new RunFolder(run).samplesFile()),
                lines(new RunFolder(run).predictionsFile()));
    }

    private static List<JsonNode> lines(Path file) {
        List<JsonNode> out = new ArrayList<>();
        if (!Files.isRegularFile(file)) {
            return out;
        }
        try {
            for (String line : Files.readAllLines(file)) {
                try {
                    out.add(JSON.readTree(line));
                } catch (JacksonException e) {
                    // the last line of a run that is being written, or was killed
                }
            }
            return out;
        } catch (IOException e) {
            throw new DeviceException(file + " cannot be read: " + AtomicFiles.reason(e), e);
        }
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
                .map(line -> new Point(line.path("step").asLong(), line.path(key).asDouble()))
                .toList();
    }
}
