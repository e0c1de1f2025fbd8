package org.qlora4j.task;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.error.ConfigException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/**
 * A file with a line of JSON for each document: what was asked, answered and counted, named as the
 * harness names it in its samples. A run that begins again with the same file asks only what has
 * not been answered, if model and requests are the same. The owner closes it.
 */
public final class TaskLog implements AutoCloseable {
    private static final JsonMapper JSON = new JsonMapper();

    private final Path file;
    private final String model;
    private final Map<String, Map<?, ?>> before = new HashMap<>(); // by task and document
    private final OutputStream out;

    /**
     * A document that has been answered.
     *
     * @param counts by filter and metric
     */
    record Entry(
            Task task,
            int number,
            Map<String, Object> document,
            List<TaskRequest> requests,
            List<TaskResponse> responses,
            Map<String, Map<String, double[]>> counts) {}

    /**
     * Opens a log, made new unless it exists.
     *
     * @param model tells models and their settings apart; answers of another are refused
     * @throws ConfigException if the file is another model's, or no log
     */
    public static TaskLog open(Path file, String model) {
        return new TaskLog(file, model);
    }

    /** What a model is called where its answers are kept: its adapter's folder, else its own. */
    public static String name(Path model, @Nullable Path adapter) {
        Path named = adapter == null ? model : adapter;
        return String.valueOf(named.toAbsolutePath().normalize().getFileName());
    }

    /**
     * Tells models and their settings apart: twelve hex digits of a digest of paths, the sizes and
     * times of the files there, and settings.
     */
    public static String stamp(Path model, @Nullable Path adapter, String settings) {
        StringBuilder facts = new StringBuilder(settings);
        describe(model, facts);
        if (adapter != null) {
            describe(adapter, facts);
        }
        try {
            byte[] digest =
                    MessageDigest.getInstance("SHA-256")
                            .digest(facts.toString().getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest, 0, 6);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void describe(Path path, StringBuilder facts) {
        facts.append('\n').append(path.toAbsolutePath().normalize());
        if (!Files.exists(path)) { // a name of the hub
            return;
        }
        try (Stream<Path> files = Files.walk(path, 1)) {
            for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
                facts.append('\n').append(file.getFileName()).append(' ');
                facts.append(Files.size(file)).append(' ');
                facts.append(Files.getLastModifiedTime(file).toMillis());
            }
        } catch (IOException e) {
            throw new ConfigException("%s cannot be read: %s".formatted(path, e.getMessage()), e);
        }
    }

    private TaskLog(Path file, String model) {
        this.file = file;
        this.model = model;
        try {
            if (Files.exists(file)) {
                readBefore();
            }
            out = Files.newOutputStream(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new ConfigException("--log %s: %s".formatted(file, e.getMessage()), e);
        }
    }

    private void readBefore() throws IOException {
        String text = Files.readString(file);
        // what a killed run had not written to its end
        int whole = text.lastIndexOf('\n') + 1;
        if (whole < text.length()) {
            AtomicFiles.writeText(file, text.substring(0, whole));
        }
        int number = 0;
        for (String line : text.substring(0, whole).split("\n")) {
            number++;
            if (line.isBlank()) {
                continue;
            }
            Map<?, ?> entry = parse(line, number);
            if (!model.equals(entry.get("model"))) {
                throw ConfigException.of(
                        "--log %s:%d is of another model or other settings (%s, now %s); name another file",
                        file, number, entry.get("model"), model);
            }
            before.put(entry.get("task") + "\n" + entry.get("doc_id"), entry);
        }
    }

    private Map<?, ?> parse(String line, int number) {
        try {
            if (JSON.readValue(line, Object.class) instanceof Map<?, ?> map) {
                return map;
            }
        } catch (JacksonException e) {
            // told below
        }
        throw ConfigException.of(
                "--log %s:%d is not a line of a log of tasks; name another file", file, number);
    }

    /** The answers that an earlier run got to the same requests; empty if there are none. */
    List<TaskResponse> before(String task, int document, List<TaskRequest> requests) {
        Map<?, ?> entry = before.get(task + "\n" + document);
        if (entry == null
                || !arguments(requests).equals(entry.get("arguments"))
                || !settings(requests).equals(entry.get("generation_kwargs"))
                || !(entry.get("resps") instanceof List<?> resps)) {
            return List.of();
        }
        List<TaskResponse> responses = new ArrayList<>();
        for (Object ofRequest : resps) {
            for (Object response : ofRequest instanceof List<?> list ? list : List.of()) {
                responses.add(response(requests.getFirst(), response));
            }
        }
        return responses.size() == requests.size() ? responses : List.of();
    }

    private static TaskResponse response(TaskRequest request, Object logged) {
        return switch (request) {
            case TaskRequest.Generate g -> new TaskResponse.Generated(String.valueOf(logged));
            case TaskRequest.Rolling r ->
                    new TaskResponse.Rolled(Double.parseDouble(String.valueOf(logged)));
            case TaskRequest.LogLikelihood l -> likelihood(logged);
            case TaskRequest.NextToken n -> likelihood(logged);
        };
    }

    private static TaskResponse likelihood(Object logged) {
        if (logged instanceof List<?> pair && pair.size() == 2) {
            return new TaskResponse.Likelihood(
                    Double.parseDouble(String.valueOf(pair.get(0))), "True".equals(pair.get(1)));
        }
        throw new ConfigException("--log: a response is no pair of number and True or False");
    }

    /** Adds a document, on the disk at once. */
    void add(Entry entry) {
        try {
            out.write(line(entry).getBytes(StandardCharsets.UTF_8));
            out.flush();
        } catch (IOException e) {
            throw new UncheckedIOException("--log " + file + ": " + e.getMessage(), e);
        }
    }

    /** Writes all documents again, in their order. */
    void finish(List<Entry> entries) {
        StringBuilder text = new StringBuilder();
        entries.forEach(entry -> text.append(line(entry)));
        AtomicFiles.writeText(file, text.toString());
    }

    private String line(Entry entry) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("task", entry.task().config().name());
        json.put("doc_id", entry.number());
        json.put("doc", entry.document());
        put(json, "target", entry.task().target(entry.document()));
        json.put("arguments", arguments(entry.requests()));
        json.put("generation_kwargs", settings(entry.requests()));
        json.put("resps", responses(entry.responses()));
        Map<String, Object> filtered = new LinkedHashMap<>();
        for (FilterChain chain : entry.task().config().filters()) {
            List<Object> values =
                    TaskRun.filtered(chain, entry.responses(), entry.document()).stream()
                            .map(TaskLog::logged)
                            .toList();
            filtered.put(chain.name(), values);
        }
        boolean one = filtered.size() == 1;
        json.put("filtered_resps", one ? filtered.values().iterator().next() : filtered);
        json.put("filter", one ? filtered.keySet().iterator().next() : filtered.keySet());
        entry.counts()
                .forEach((filter, values) ->
                        values.forEach((metric, value) ->
                                json.put(
                                        one ? metric : metric + "," + filter,
                                        value.length == 1 ? (Object) value[0] : value)));
        json.put("model", model);
        return JSON.writeValueAsString(json) + "\n";
    }

    @SuppressWarnings("NullAway") // a value may be null, as in JSON
    private static void put(Map<String, Object> map, String key, @Nullable Object value) {
        map.put(key, value);
    }

    private static List<Object> arguments(List<TaskRequest> requests) {
        List<Object> out = new ArrayList<>();
        for (TaskRequest request : requests) {
            switch (request) {
                case TaskRequest.LogLikelihood(String context, String continuation) ->
                        out.add(List.of(context, continuation));
                case TaskRequest.NextToken(String context, String continuation) ->
                        out.add(List.of(context, continuation));
                case TaskRequest.Rolling(String text) -> out.add(List.of(text));
                case TaskRequest.Generate g -> {
                    if (g.repeat() == 0) {
                        out.add(List.of(g.context()));
                    }
                }
            }
        }
        return out;
    }

    private static Map<String, Object> settings(List<TaskRequest> requests) {
        Map<String, Object> out = new LinkedHashMap<>();
        if (requests.getFirst() instanceof TaskRequest.Generate g) {
            out.put("until", g.settings().until());
            out.put("max_gen_toks", g.settings().maxTokens());
            out.put("do_sample", g.settings().sample());
            if (g.settings().sample()) {
                out.put("temperature", g.settings().temperature());
                out.put("top_p", g.settings().topP());
            }
        }
        return out;
    }

    /** By request and repeat, numbers as text, as the harness writes them. */
    private static List<Object> responses(List<TaskResponse> responses) {
        List<Object> logged = responses.stream().map(TaskLog::logged).toList();
        boolean repeats = responses.getFirst() instanceof TaskResponse.Generated;
        List<Object> out = new ArrayList<>();
        if (repeats) {
            out.add(logged);
        } else {
            logged.forEach(response -> out.add(List.of(response)));
        }
        return out;
    }

    private static Object logged(Object response) {
        return switch (response) {
            case TaskResponse.Likelihood(double logLikelihood, boolean greedy) ->
                    List.of(String.valueOf(logLikelihood), greedy ? "True" : "False");
            case TaskResponse.Rolled(double logLikelihood) -> String.valueOf(logLikelihood);
            case TaskResponse.Generated(String text) -> text;
            default -> String.valueOf(response);
        };
    }

    @Override
    public void close() {
        try {
            out.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
