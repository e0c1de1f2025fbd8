package org.qlora4j.app.serve;

import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.error.UserException;
import org.qlora4j.run.MetricsFile;
import org.qlora4j.run.RunFolder;
import tools.jackson.databind.JsonNode;

/** {@code GET /v1/runs}: what the runs of a folder have written so far, for the page. */
final class Runs {
    private static final int MOST_LINES = 2000;

    private final @Nullable Path folder;
    private @Nullable Training training; // set once, before the first request

    /**
     * @param folder that holds run folders, or is one; null for none
     */
    Runs(@Nullable Path folder) {
        this.folder = folder;
    }

    /** Tells of the runs that are started here, too. */
    void with(Training started) {
        training = started;
    }

    private record Run(String name, RunFolder folder, FileTime changed) {
        Optional<JsonNode> lastStep() {
            return new MetricsFile(folder.metricsFile()).lastStep();
        }
    }

    /** All runs, those first that are started here and have no step yet, then the newest. */
    void list(ServerResponse response) throws IOException {
        Map<String, StartedRun> started = started();
        List<Map<String, @Nullable Object>> out = new ArrayList<>();
        for (Run run : runs()) {
            Map<String, @Nullable Object> entry = new LinkedHashMap<>();
            entry.put("name", run.name);
            entry.put("changed", run.changed.toMillis() / 1000);
            run.lastStep().ifPresent(last -> entry.put("last", last));
            StartedRun own = started.remove(run.name);
            if (own != null) {
                own.describe(entry);
            }
            out.add(entry);
        }
        started.forEach((name, run) -> {
            Map<String, @Nullable Object> entry = new LinkedHashMap<>();
            entry.put("name", name);
            run.describe(entry);
            out.addFirst(entry);
        });
        Reply.json(
                response,
                200,
                Map.of("object", "list", "data", out, "allows_training", training != null));
    }

    private Map<String, StartedRun> started() {
        Map<String, StartedRun> out = new LinkedHashMap<>();
        if (training != null) {
            training.started().forEach(run -> out.put(run.name(), run));
        }
        return out;
    }

    /** One run: its metrics, thinned where there are very many, and its samples. */
    void one(String name, ServerResponse response) throws IOException {
        Path path = folders().get(name);
        StartedRun started = started().get(name);
        if (path == null && started == null) {
            throw ApiError.of(404, "run_not_found", "there is no such run");
        }
        RunFolder run = path == null ? null : new RunFolder(path);
        Map<String, @Nullable Object> out = new LinkedHashMap<>();
        out.put("name", name);
        out.put("metrics", run == null ? List.of() : thinned(run.metricsFile()));
        out.put("samples", run == null ? List.of() : new MetricsFile(run.samplesFile()).lines());
        if (run != null && run.hasCheckpoints()) {
            out.put("adapter", run.path().toAbsolutePath().toString());
        }
        if (started != null) {
            started.describe(out);
        }
        Reply.json(response, 200, out);
    }

    private static List<JsonNode> thinned(Path file) {
        List<JsonNode> metrics = new MetricsFile(file).lines();
        int every = (metrics.size() + MOST_LINES - 1) / MOST_LINES;
        List<JsonNode> out = new ArrayList<>();
        for (int i = 0; i < metrics.size(); i++) {
            if (i % every == 0 || i == metrics.size() - 1 || metrics.get(i).has("eval_loss")) {
                out.add(metrics.get(i));
            }
        }
        return out;
    }

    /** The speed of the newest run of a model; null if there is none. */
    @Nullable Double tokensPerSecond(String model) {
        try {
            for (Run run : runs()) {
                Double speed =
                        run.lastStep()
                                .map(last -> last.path("tokens_per_second").asDouble(0))
                                .orElse(0.0);
                if (speed > 0 && model.equals(model(run.folder))) {
                    return speed;
                }
            }
            return null;
        } catch (IOException e) {
            return null; // it is only told where it is known
        }
    }

    private static @Nullable String model(RunFolder run) {
        try {
            return RunConfigReader.read(run.configFile()).model().modelNameOrPath();
        } catch (UserException e) {
            return null; // of another version
        }
    }

    /** The run that changed last first. */
    private List<Run> runs() throws IOException {
        List<Run> runs = new ArrayList<>();
        for (Map.Entry<String, Path> each : folders().entrySet()) {
            RunFolder run = new RunFolder(each.getValue());
            runs.add(new Run(each.getKey(), run, Files.getLastModifiedTime(run.metricsFile())));
        }
        runs.sort(Comparator.comparing(Run::changed).reversed());
        return runs;
    }

    private Map<String, Path> folders() throws IOException {
        Map<String, Path> out = new LinkedHashMap<>();
        Path given = folder;
        if (given == null || !Files.isDirectory(given)) {
            return out;
        }
        if (isRun(given)) {
            out.put(String.valueOf(given.toAbsolutePath().normalize().getFileName()), given);
        }
        try (Stream<Path> inside = Files.list(given)) {
            inside.filter(Runs::isRun)
                    .sorted()
                    .forEach(each -> out.put(String.valueOf(each.getFileName()), each));
        }
        return out;
    }

    private static boolean isRun(Path folder) {
        return Files.isRegularFile(new RunFolder(folder).metricsFile());
    }
}
