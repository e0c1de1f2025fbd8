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
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.run.MetricsFile;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code GET /v1/runs}: what the runs of a folder have written so far, for the page. */
final class Runs {
    private static final String METRICS = "metrics.jsonl";
    private static final int MOST_LINES = 2000;

    private final @Nullable Path folder;

    /**
     * @param folder that holds run folders, or is one; null for none
     */
    Runs(@Nullable Path folder) {
        this.folder = folder;
    }

    private record Run(String name, Path metrics, FileTime changed) {}

    /** All runs, the one that changed last first. */
    void list(ServerResponse response) throws IOException {
        List<Run> runs = new ArrayList<>();
        for (Map.Entry<String, Path> run : folders().entrySet()) {
            Path metrics = run.getValue().resolve(METRICS);
            runs.add(new Run(run.getKey(), metrics, Files.getLastModifiedTime(metrics)));
        }
        runs.sort(Comparator.comparing(Run::changed).reversed());
        List<Map<String, Object>> out = new ArrayList<>();
        for (Run run : runs) {
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("name", run.name);
            entry.put("changed", run.changed.toMillis() / 1000);
            new MetricsFile(run.metrics).lastStep().ifPresent(last -> entry.put("last", last));
            out.add(entry);
        }
        Reply.json(response, 200, Map.of("object", "list", "data", out));
    }

    /** One run: its metrics, thinned where there are very many, and its samples. */
    void one(String name, ServerResponse response) throws IOException {
        Path run = folders().get(name);
        if (run == null) {
            throw ApiError.of(404, "run_not_found", "there is no such run");
        }
        List<JsonNode> metrics = lines(run.resolve(METRICS));
        int every = (metrics.size() + MOST_LINES - 1) / MOST_LINES;
        List<JsonNode> thinned = new ArrayList<>();
        for (int i = 0; i < metrics.size(); i++) {
            if (i % every == 0 || i == metrics.size() - 1 || metrics.get(i).has("eval_loss")) {
                thinned.add(metrics.get(i));
            }
        }
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("name", name);
        out.put("metrics", thinned);
        out.put("samples", lines(run.resolve("samples.jsonl")));
        Reply.json(response, 200, out);
    }

    private Map<String, Path> folders() throws IOException {
        Map<String, Path> out = new LinkedHashMap<>();
        Path given = folder;
        if (given == null || !Files.isDirectory(given)) {
            return out;
        }
        if (Files.isRegularFile(given.resolve(METRICS))) {
            out.put(String.valueOf(given.toAbsolutePath().normalize().getFileName()), given);
        }
        try (Stream<Path> inside = Files.list(given)) {
            inside.filter(each -> Files.isRegularFile(each.resolve(METRICS)))
                    .sorted()
                    .forEach(each -> out.put(String.valueOf(each.getFileName()), each));
        }
        return out;
    }

    /** The lines of a file that are whole; none where there is no file. */
    private static List<JsonNode> lines(Path file) throws IOException {
        List<JsonNode> out = new ArrayList<>();
        if (!Files.isRegularFile(file)) {
            return out;
        }
        for (String line : Files.readAllLines(file)) {
            JsonNode json = parse(line);
            if (json != null) {
                out.add(json);
            }
        }
        return out;
    }

    /** Null for a line that is being written. */
    private static @Nullable JsonNode parse(String line) {
        try {
            return JsonMapper.shared().readTree(line);
        } catch (JacksonException e) {
            return null;
        }
    }
}
