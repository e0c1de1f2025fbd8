package org.qlora4j.app.serve;

import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.qlora4j.app.serve.Uploads.Upload;
import org.qlora4j.config.Overrides;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.data.Inspection;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.UserException;
import org.qlora4j.plan.RunPreview;
import tools.jackson.databind.JsonNode;

/**
 * Runs that clients start: a file of examples is sent, looked at, and learnt from by {@code qlora
 * train} in a process of its own. One run goes on at a time. What is sent steers no path, and
 * nothing is written outside the folder of runs.
 */
final class Training {
    private static final String RUN_NAME = "[A-Za-z0-9_][\\w.-]{0,63}";

    /** Settings that clients may give: none of them names a file, or code. */
    private static final List<String> KEYS =
            List.of(
                    """
                    data.columns data.dataset_format data.eval_dataset_size data.max_train_samples
                    data.on_bad_data data.source_max_len data.target_max_len data.train_on_source
                    data.truncation eval.eval_steps eval.eval_strategy lora.lora_alpha
                    lora.lora_dropout lora.r model.stream_layers train.gradient_accumulation_steps
                    train.gradient_checkpointing train.learning_rate train.lr_scheduler_type
                    train.max_steps train.num_train_epochs train.optim
                    train.per_device_train_batch_size train.sample_prompt train.sample_steps
                    train.save_steps train.seed train.warmup_ratio
                    """
                            .strip()
                            .split("\\s+"));

    private final TrainingConfig config;
    private final Runs runs;
    private final Uploads uploads;
    private final ReentrantLock looking = new ReentrantLock(); // at data: it fills the heap
    private final Map<String, StartedRun> started = new LinkedHashMap<>(); // guarded by itself
    private @Nullable Plan last; // guarded by looking
    private boolean closed; // guarded by started

    /** What was found of a file under some settings. */
    private record Plan(Upload data, List<String> words, RunPreview preview, long free) {
        boolean is(Upload other, List<String> otherWords) {
            return data.equals(other) && words.equals(otherWords);
        }

        boolean fits() {
            return preview.memory().total() <= free;
        }

        String memoryLine() {
            return "the run takes %s of memory, and this server leaves %s%s"
                    .formatted(
                            size(preview.memory().total()),
                            size(free),
                            fits()
                                    ? ""
                                    : preview.advice().fits()
                                            ? ": set "
                                                    + String.join(" ", preview.advice().settings())
                                            : ": serve with a smaller --kv-cache-memory and"
                                                    + " --adapter-memory, or shorten the examples");
        }

        private static String size(long bytes) {
            double mib = bytes / 1048576.0;
            return mib < 1024
                    ? String.format(Locale.ROOT, "%.0f MiB", Math.ceil(mib))
                    : String.format(Locale.ROOT, "%.1f GiB", mib / 1024);
        }
    }

    /**
     * @param runs of the same folder
     */
    Training(TrainingConfig config, Runs runs) {
        this.config = config;
        this.runs = runs;
        this.uploads =
                new Uploads(
                        config.runs().resolve(".uploads"), config.maxUploadBytes(), this::isUsed);
    }

    /** Whether a run from this file is under way, or has left something to go on with. */
    private boolean isUsed(Upload data) {
        return started().stream()
                .filter(run -> run.data().equals(data))
                .anyMatch(
                        run -> run.isUnderWay() || Files.exists(config.runs().resolve(run.name())));
    }

    /** The runs that were started, for the list of runs. */
    List<StartedRun> started() {
        synchronized (started) {
            return List.copyOf(started.values());
        }
    }

    /** {@code POST /v1/datasets}: keeps a file. */
    void upload(String name, InputStream in, ServerResponse response) throws IOException {
        Upload upload = uploads.keep(name, in);
        Reply.json(
                response,
                200,
                Map.of("id", upload.id(), "name", upload.name(), "bytes", upload.bytes()));
    }

    /** {@code DELETE /v1/datasets/{name}}: deletes a file that was not learnt from. */
    void drop(String id, ServerResponse response) {
        uploads.drop(id);
        Reply.json(response, 200, Map.of("id", id, "deleted", true));
    }

    /** {@code POST /v1/plans}: what a run would learn and take. */
    void plan(Fields fields, ServerResponse response) {
        Reply.json(response, 200, json(look(fields)));
    }

    private Plan look(Fields fields) {
        Upload data = uploads.get(fields.required("dataset"));
        List<String> words = words(fields.get("settings"));
        looking.lock();
        try {
            Plan plan = last;
            if (plan == null || !plan.is(data, words)) {
                RunConfig run = config(data, config.runs().resolve("new"), words);
                long free = config.free().getAsLong();
                plan = new Plan(data, words, RunPreview.of(run, free), free);
                last = plan;
            }
            return plan;
        } catch (DeviceException e) {
            throw new DeviceException(data.named(String.valueOf(e.getMessage())), e);
        } catch (UserException e) {
            throw ApiError.of(400, "unusable_data", data.named(String.valueOf(e.getMessage())));
        } finally {
            looking.unlock();
        }
    }

    private RunConfig config(Upload data, Path out, List<String> words) {
        List<Overrides.Setting> all = new ArrayList<>();
        all.addAll(Overrides.ofWords(config.settings()).settings());
        all.addAll(Overrides.ofWords(words).settings());
        all.add(literal("model.model_name_or_path", config.model()));
        all.add(literal("data.dataset", data.file().toString()));
        all.add(literal("train.output_dir", out.toString()));
        return RunConfigReader.of(new Overrides(all, List.of()));
    }

    private static Overrides.Setting literal(String key, String value) {
        return new Overrides.Setting(key, value, true, key);
    }

    /** Settings of a request as words of the command. */
    private static List<String> words(@Nullable JsonNode settings) {
        List<String> words = new ArrayList<>();
        if (settings == null) {
            return words;
        }
        if (!settings.isObject()) {
            throw ApiError.field("settings", "settings must be an object");
        }
        for (Map.Entry<String, JsonNode> entry : settings.properties()) {
            JsonNode value = entry.getValue();
            if (!KEYS.contains(entry.getKey())) {
                throw ApiError.field(
                        "settings",
                        "settings must be some of %s".formatted(String.join(", ", KEYS)));
            }
            if (!value.isNull()) {
                words.add(
                        entry.getKey()
                                + "="
                                + (value.isString() ? value.asString() : value.toString()));
            }
        }
        return words;
    }

    private Map<String, @Nullable Object> json(Plan plan) {
        RunPreview preview = plan.preview;
        Inspection inspection = preview.inspection();
        Map<String, Object> facts = new LinkedHashMap<>();
        inspection.facts().forEach((name, fact) -> facts.put(name, plan.data.named(fact)));
        List<Object> findings = new ArrayList<>();
        for (Inspection.Finding finding : inspection.findings()) {
            findings.add(
                    Map.of("refused", finding.refused(), "text", plan.data.named(finding.text())));
        }
        List<Object> examples = new ArrayList<>();
        for (RunPreview.Marked marked : preview.examples()) {
            Map<String, Object> example = new LinkedHashMap<>();
            example.put("at", plan.data.named(marked.place()));
            example.put("why", marked.why());
            example.put("tokens", marked.example().length());
            example.put("learnt", marked.example().labelTokens());
            example.put(
                    "text",
                    marked.text().stream()
                            .map(part -> Map.of("text", part.text(), "learnt", part.learnt()))
                            .toList());
            examples.add(example);
        }
        Map<String, @Nullable Object> out = new LinkedHashMap<>();
        out.put("facts", facts);
        out.put("findings", findings);
        out.put("examples", examples);
        out.put("steps", preview.steps());
        out.put("epochs", (double) preview.steps() / preview.stepsPerEpoch());
        out.put("seconds", seconds(preview));
        Map<String, Object> memory = new LinkedHashMap<>();
        memory.put("parts", preview.memory().parts());
        memory.put("total", preview.memory().total());
        memory.put("free", plan.free);
        memory.put("fits", plan.fits());
        memory.put("line", plan.memoryLine());
        memory.put("advice", preview.advice().fits() ? preview.advice().settings() : List.of());
        out.put("memory", memory);
        return out;
    }

    /** About as long as it takes at the speed of the newest run of the model; null without one. */
    private @Nullable Double seconds(RunPreview preview) {
        double epochs = (double) preview.steps() / preview.stepsPerEpoch();
        double tokens = preview.inspection().stats().tokens() * epochs;
        Double speed = runs.tokensPerSecond(config.model());
        return speed == null ? null : tokens / speed;
    }

    /** {@code POST /v1/runs}: starts a run. */
    void start(Fields fields, ServerResponse response) throws IOException {
        String name = fields.required("name");
        if (!name.matches(RUN_NAME)) {
            throw ApiError.field(
                    "name",
                    "name must be 1 to 64 letters, digits, dots, dashes or underscores, the first no dot or dash");
        }
        requireFree(name);
        Plan plan = look(fields);
        List<String> refused = new ArrayList<>();
        plan.preview.inspection().findings().stream()
                .filter(Inspection.Finding::refused)
                .forEach(finding -> refused.add(plan.data.named(finding.text())));
        if (!refused.isEmpty()) {
            throw ApiError.of(400, "unusable_data", String.join("; ", refused));
        }
        if (!plan.fits()) {
            throw ApiError.of(400, "does_not_fit", plan.memoryLine());
        }
        List<String> words = new ArrayList<>(List.of("train", "--json"));
        words.addAll(List.of("--model", config.model()));
        words.addAll(List.of("--data", plan.data.file().toString()));
        words.addAll(List.of("--out", config.runs().resolve(name).toString()));
        words.add("train.logging_steps=1"); // somebody looks
        words.addAll(config.settings());
        words.addAll(plan.words);
        Map<String, @Nullable Object> out = new LinkedHashMap<>();
        synchronized (started) {
            requireFree(name); // two may have asked
            StartedRun run;
            try {
                run = StartedRun.start(name, plan.data, config.processes(), words);
            } catch (IOException e) {
                throw new DeviceException("no process can be started: " + e.getMessage(), e);
            }
            started.put(name, run);
            out.put("name", name);
            run.describe(out);
        }
        Reply.json(response, 200, out);
    }

    private void requireFree(String name) {
        synchronized (started) {
            if (closed) {
                throw ApiError.of(503, "shutting_down", "the server is about to end");
            }
            for (StartedRun run : started.values()) {
                if (run.isUnderWay()) {
                    throw ApiError.of(
                            409,
                            "run_under_way",
                            "the run %s goes on; wait for its end, or stop it"
                                    .formatted(run.name()));
                }
            }
            if (Files.exists(config.runs().resolve(name))) {
                throw ApiError.of(
                        409, "run_exists", "there is a run %s; give another name".formatted(name));
            }
        }
    }

    /** {@code POST /v1/runs/{name}/stop}: lets it save and end. */
    void stop(String name, ServerResponse response) {
        StartedRun run;
        synchronized (started) {
            run = started.get(name);
        }
        if (run == null) {
            throw ApiError.of(404, "run_not_found", "no such run was started here");
        }
        run.stop();
        Map<String, @Nullable Object> out = new LinkedHashMap<>();
        out.put("name", name);
        run.describe(out);
        Reply.json(response, 200, out);
    }

    /** Starts no more runs, and asks the one under way to save and end. */
    void drain() {
        synchronized (started) {
            closed = true;
        }
        started().forEach(StartedRun::stop);
    }

    /** Waits for the run under way, and deletes files that were not learnt from. */
    void close() {
        drain();
        started().forEach(StartedRun::close);
        uploads.dropUnused();
    }
}
