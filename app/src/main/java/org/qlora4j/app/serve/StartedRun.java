package org.qlora4j.app.serve;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A run in a process of its own, as far as its lines of {@code qlora train --json} tell. */
final class StartedRun {
    /** Lines without JSON that are kept: the last say why it failed. */
    private static final int MOST_LINES = 8;

    private enum State {
        STARTING,
        TRAINING,
        STOPPING,
        DONE,
        STOPPED,
        FAILED
    }

    private final String name;
    private final Uploads.Upload data;
    private final TrainingConfig.Processes processes;
    private final Process process;

    // guarded by this
    private final ArrayDeque<String> lines = new ArrayDeque<>();
    private State state = State.STARTING;
    private boolean asked; // to end
    private boolean finished;
    private int step;
    private int totalSteps;
    private @Nullable Double secondsLeft;
    private @Nullable String adapter;
    private @Nullable String problem;

    private StartedRun(
            String name,
            Uploads.Upload data,
            TrainingConfig.Processes processes,
            List<String> words)
            throws IOException {
        this.name = name;
        this.data = data;
        this.processes = processes;
        this.process = processes.start(words);
    }

    /**
     * Begins a run.
     *
     * @param words of the command
     */
    static StartedRun start(
            String name,
            Uploads.Upload data,
            TrainingConfig.Processes processes,
            List<String> words)
            throws IOException {
        StartedRun run = new StartedRun(name, data, processes, words);
        run.process.getOutputStream().close(); // it reads no input
        Thread.ofPlatform().daemon().name("qlora4j-run-" + name).start(run::listen);
        return run;
    }

    private void listen() {
        try (BufferedReader in = process.inputReader(StandardCharsets.UTF_8)) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                take(line);
            }
        } catch (IOException e) {
            take("what it says cannot be read: " + e.getMessage());
        }
        try {
            ended(process.waitFor());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized void take(String line) {
        JsonNode event;
        try {
            event = JsonMapper.shared().readTree(line);
        } catch (JacksonException e) {
            lines.add(line.replaceFirst("^qlora: ", ""));
            if (lines.size() > MOST_LINES) {
                lines.removeFirst();
            }
            return;
        }
        switch (event.path("event").asString("")) {
            case "started" -> {
                state = asked ? State.STOPPING : State.TRAINING;
                totalSteps = event.path("total_steps").asInt(0);
            }
            case "step" -> {
                step = event.path("step").asInt(0);
                double each = event.path("elapsed_seconds").asDouble(0) / Math.max(1, step);
                secondsLeft = each * (totalSteps - step);
            }
            case "finished" -> {
                finished = true;
                asked |= event.path("cancelled").asBoolean(false);
                JsonNode outcome = event.path("adapter");
                adapter = outcome.isString() ? outcome.asString() : null;
            }
            case "gave_up" ->
                    problem =
                            "it had not saved %d seconds after it was asked to, and was ended"
                                    .formatted(event.path("seconds").asInt(0));
            default -> {}
        }
    }

    private synchronized void ended(int exit) {
        secondsLeft = null;
        if (finished && !asked) {
            state = State.DONE;
        } else if (finished || asked) {
            state = State.STOPPED;
        } else {
            state = State.FAILED;
            problem =
                    lines.isEmpty()
                            ? "the process ended with exit code " + exit
                            : data.named(String.join("\n", lines));
        }
    }

    String name() {
        return name;
    }

    boolean isUnderWay() {
        return process.isAlive();
    }

    Uploads.Upload data() {
        return data;
    }

    /** Asks it to save and end. */
    void stop() {
        synchronized (this) {
            if (!process.isAlive()) {
                return;
            }
            asked = true;
            state = State.STOPPING;
        }
        process.destroy();
    }

    /** Asks it to save and end, and waits for that. */
    void close() {
        stop();
        if (process.isAlive()) {
            processes.stop(process);
        }
    }

    /** Puts its state, its length and its outcome among the fields of a reply. */
    synchronized void describe(Map<String, @Nullable Object> out) {
        Map<String, @Nullable Object> progress = new LinkedHashMap<>();
        progress.put("state", state.name().toLowerCase(Locale.ROOT));
        progress.put("data", data.name());
        progress.put("step", step);
        progress.put("total_steps", totalSteps);
        progress.put("seconds_left", secondsLeft);
        progress.put("problem", problem);
        out.put("progress", progress);
        if (adapter != null) {
            out.put("adapter", adapter);
        }
    }
}
