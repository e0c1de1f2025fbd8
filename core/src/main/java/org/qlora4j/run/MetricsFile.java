package org.qlora4j.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.error.DeviceException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * {@code metrics.jsonl}: one line for each logged step and each evaluation, or another file of
 * lines with a step, appended as it happens.
 */
public record MetricsFile(Path file) {
    private static final JsonMapper JSON = new JsonMapper();

    /** Drops what a run that goes on from a state will write again: later steps and evaluations. */
    public void keepUpTo(TrainerState state) {
        keep(json -> {
            long step = json.path("step").asLong(Long.MAX_VALUE);
            boolean evaluates = json.has("eval_loss") || json.has("tasks");
            boolean comesAgain = evaluates && !state.isEvaluated();
            return step < state.step() || (step == state.step() && !comesAgain);
        });
    }

    /**
     * Drops the lines that a condition does not hold for; a line cut off by a kill is an empty
     * object.
     */
    public void keep(Predicate<JsonNode> wanted) {
        if (!Files.exists(file)) {
            return;
        }
        List<String> kept = new ArrayList<>();
        for (String line : read()) {
            if (wanted.test(parse(line))) {
                kept.add(line + "\n");
            }
        }
        AtomicFiles.writeText(file, String.join("", kept));
    }

    /** The newest line of a logged step; empty if there is none. */
    public Optional<JsonNode> lastStep() {
        return read().reversed().stream()
                .map(MetricsFile::parse)
                .filter(line -> line.has("loss"))
                .findFirst();
    }

    /** All lines that are whole, in their order; none where there is no file. */
    public List<JsonNode> lines() {
        return read().stream().map(MetricsFile::parse).filter(line -> !line.isEmpty()).toList();
    }

    private List<String> read() {
        if (!Files.exists(file)) {
            return List.of();
        }
        try {
            return Files.readAllLines(file);
        } catch (IOException e) {
            throw new DeviceException(file + " cannot be read: " + e, e);
        }
    }

    private static JsonNode parse(String line) {
        try {
            return JSON.readTree(line);
        } catch (JacksonException e) {
            return JSON.createObjectNode(); // a line that a killed run had not finished
        }
    }

    public void append(StepMetrics m) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", m.step());
        line.put("epoch", m.epoch());
        line.put("loss", m.loss());
        line.put("grad_norm", m.gradNorm());
        line.put("learning_rate", m.learningRate());
        line.put("tokens", m.tokens());
        line.put("label_tokens", m.labelTokens());
        line.put("tokens_per_second", Math.round(m.tokensPerSecond() * 10) / 10.0);
        append(line);
    }

    public void append(EvalMetrics m) {
        Map<String, @Nullable Object> line = new LinkedHashMap<>();
        line.put("step", m.step());
        line.put("epoch", m.epoch());
        line.put("eval_loss", m.loss());
        line.put("eval_perplexity", m.perplexity());
        m.scores()
                .forEach((name, value) ->
                        line.put("eval_" + name, Double.isNaN(value) ? null : value));
        line.put("eval_samples", m.examples());
        line.put("eval_label_tokens", m.labelTokens());
        line.put("eval_runtime", Math.round(m.seconds() * 1000) / 1000.0);
        append(line);
    }

    public void append(TaskMetrics m) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", m.step());
        line.put("epoch", m.epoch());
        line.put("tasks", m.results());
        line.put("tasks_runtime", Math.round(m.seconds() * 1000) / 1000.0);
        append(line);
    }

    /** Appends a line. */
    public void append(Map<String, ? extends @Nullable Object> line) {
        try {
            Files.writeString(
                    file,
                    JSON.writeValueAsString(line) + "\n",
                    StandardOpenOption.CREATE,
                    StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new DeviceException(
                    file + " cannot be written: " + e + "; make room on the disk", e);
        }
    }
}
