package org.qlora4j.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.config.ConfigKeys;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.error.DeviceException;
import org.qlora4j.run.RunFolder;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What a report tells of a run.
 *
 * @param folder of the run, absolute
 * @param config its settings
 * @param yaml the same as written in its {@code config.yaml}
 * @param figures further figures by name, of a run that has just ended
 * @param environment where it ran, and what memory it took
 */
record RunSummary(
        Path folder,
        RunConfig config,
        String yaml,
        RunHistory history,
        Map<String, String> figures,
        Map<String, String> environment) {
    private static final JsonMapper JSON = new JsonMapper();

    /**
     * Reads a run folder, while the run goes on or later.
     *
     * @param figures see there
     */
    static RunSummary read(Path run, Map<String, String> figures) {
        Path folder = run.toAbsolutePath().normalize();
        Path file = folder.resolve("config.yaml");
        RunConfig config = RunConfigReader.read(file);
        try {
            return new RunSummary(
                    folder,
                    config,
                    Files.readString(file),
                    RunHistory.read(folder),
                    figures,
                    environment(folder));
        } catch (IOException e) {
            throw new DeviceException(file + " cannot be read: " + AtomicFiles.reason(e), e);
        }
    }

    /** What the newest checkpoint says of the machine; empty before the first. */
    private static Map<String, String> environment(Path run) {
        Map<String, String> out = new LinkedHashMap<>();
        new RunFolder(run)
                .newestWhole()
                .ifPresent(checkpoint -> {
                    out.put("newest checkpoint", checkpoint.folder().getFileName().toString());
                    try {
                        JSON.readTree(checkpoint.folder().resolve("qlora4j.json"))
                                .path("environment")
                                .forEachEntry((key, value) -> out.put(key, value.asString("")));
                    } catch (JacksonException e) {
                        throw new IllegalStateException("its checksum was right", e);
                    }
                });
        return out;
    }

    /** The settings that differ from their defaults, by key. */
    Map<String, String> changedSettings() {
        return ConfigKeys.changed(config);
    }

    /** The evaluation with the lowest loss. */
    Optional<JsonNode> best() {
        return history.evaluations().stream()
                .filter(e -> Double.isFinite(e.path("eval_loss").asDouble(Double.NaN)))
                .min(Comparator.comparingDouble(e -> e.path("eval_loss").asDouble(Double.NaN)));
    }
}
