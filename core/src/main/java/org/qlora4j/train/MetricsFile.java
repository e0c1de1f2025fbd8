package org.qlora4j.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.error.DeviceException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/** {@code metrics.jsonl}: one line for each logged step, appended as it happens. */
record MetricsFile(Path file) {
    private static final JsonMapper JSON = new JsonMapper();

    /** Drops the lines of steps after the one a run is resumed from; they will come again. */
    void keepUpTo(long step) {
        if (!Files.exists(file)) {
            return;
        }
        List<String> kept = new ArrayList<>();
        try {
            for (String line : Files.readAllLines(file)) {
                if (stepOf(line) <= step) {
                    kept.add(line + "\n");
                }
            }
        } catch (IOException e) {
            throw new DeviceException(file + " cannot be read: " + e, e);
        }
        AtomicFiles.writeText(file, String.join("", kept));
    }

    private static long stepOf(String line) {
        try {
            return JSON.readTree(line).path("step").asLong(Long.MAX_VALUE);
        } catch (JacksonException e) {
            return Long.MAX_VALUE; // a line that a killed run had not finished
        }
    }

    void append(StepMetrics m) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", m.step());
        line.put("epoch", m.epoch());
        line.put("loss", m.loss());
        line.put("grad_norm", m.gradNorm());
        line.put("learning_rate", m.learningRate());
        line.put("tokens", m.tokens());
        line.put("label_tokens", m.labelTokens());
        line.put("tokens_per_second", Math.round(m.tokensPerSecond() * 10) / 10.0);
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
