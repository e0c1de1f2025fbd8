package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.LanguageModel;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.TextScorer;
import org.qlora4j.task.LocalTaskModel;
import org.qlora4j.task.TaskLog;
import org.qlora4j.task.TaskOptions;
import org.qlora4j.task.TaskResults;
import org.qlora4j.task.TaskSuite;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Which tasks are asked, how, and of which model: the same in every command that asks tasks. */
final class TaskCommandOptions {
    private static final Pattern SETTING = Pattern.compile("[a-z_]+\\.[a-z0-9_.]+=.*");

    @Parameters(
            paramLabel = "FILE.yaml|NAME|key=value",
            description =
                    "Task files or names of tasks; settings of section quantization, such as quantization.bnb_4bit_compute_dtype=float32.")
    List<String> words = new ArrayList<>();

    @Mixin ModelOption model = new ModelOption();

    @Mixin HeldOption held = new HeldOption();

    @Option(
            names = "--limit",
            paramLabel = "N",
            description = "Documents of each task, from the first; below 1 a share of them.")
    double limit = TaskOptions.DEFAULT.limit();

    @Option(
            names = "--num-fewshot",
            paramLabel = "N",
            description = "Examples before each document; a task that sets 0 keeps it.")
    @Nullable Integer numFewshot;

    @Option(
            names = "--apply-chat-template",
            description = "Write prompts as chats, by the model's chat template.")
    boolean chatTemplate;

    @Option(
            names = "--fewshot-as-multiturn",
            negatable = true,
            defaultValue = Option.NULL_VALUE,
            description = "Make examples turns of the chat; so by default where prompts are chats.")
    @Nullable Boolean multiturn;

    @Option(
            names = "--system-instruction",
            paramLabel = "TEXT",
            description = "A system message, before a task's own description.")
    @Nullable String system;

    @Option(
            names = "--fewshot-seed",
            paramLabel = "N",
            description = "Of drawn examples (${DEFAULT-VALUE}).")
    long seed = TaskOptions.DEFAULT.seed();

    @Option(
            names = "--bootstrap-iters",
            paramLabel = "N",
            description =
                    "Draws for standard errors without a closed form (${DEFAULT-VALUE}); 0 for no standard errors.")
    int bootstrap = TaskOptions.DEFAULT.bootstrapIterations();

    @Option(
            names = "--batch-tokens",
            paramLabel = "N",
            description = "Tokens that are scored in one pass over the weights (${DEFAULT-VALUE}).")
    int batchTokens = TextScorer.TOKENS_AT_ONCE;

    @Option(
            names = "--batch-size",
            paramLabel = "N",
            description = "Answers that are generated together (${DEFAULT-VALUE}).")
    int batchSize = LocalTaskModel.TEXTS_AT_ONCE;

    @Mixin DeviceOption device = new DeviceOption();

    /** Reads the tasks and their documents. */
    TaskSuite suite() {
        List<String> names = words.stream().filter(word -> !isSetting(word)).toList();
        return TaskSuite.load(
                names,
                new TaskOptions(
                        numFewshot,
                        limit,
                        chatTemplate,
                        multiturn == null ? chatTemplate : multiturn,
                        system,
                        seed,
                        bootstrap));
    }

    private static boolean isSetting(String word) {
        return SETTING.matcher(word).matches() && !Files.exists(Path.of(word));
    }

    /** The settings of the model. */
    RunConfig config() {
        if (batchTokens < 1 || batchSize < 1) {
            throw ConfigException.of(
                    "--batch-tokens and --batch-size must be at least 1, got %d and %d",
                    batchTokens, batchSize);
        }
        List<String> settings = new ArrayList<>();
        for (String word : words) {
            if (isSetting(word)) {
                if (!word.startsWith("quantization.")) {
                    throw ConfigException.of(
                            "%s: only settings of section quantization count here", word);
                }
                settings.add(word);
            }
        }
        settings.add("data.dataset=tasks"); // which bring their own, but settings must name some
        settings.add("model.model_name_or_path=" + model.path);
        settings.add("model.device=" + device.choice().key());
        settings.addAll(held.settings());
        return RunConfig.of(settings.toArray(String[]::new));
    }

    /**
     * Loads the model, with an adapter if one is given. The caller closes it.
     *
     * @param adapter null for none
     */
    LanguageModel load(RunConfig config, @Nullable Path adapter) {
        return WriterOptions.load(
                model.path, config.quantization(), config.model().device(), adapter);
    }

    /** Opens a log, or none. The caller closes it. */
    @Nullable TaskLog openLog(@Nullable Path file, RunConfig config, @Nullable Path adapter) {
        String settings = config.quantization().toString();
        return file == null
                ? null
                : TaskLog.open(file, TaskLog.stamp(model.path, adapter, settings));
    }

    /** Asks the tasks, and says on {@code err} how far it is. */
    TaskResults evaluate(
            LanguageModel loaded,
            TaskSuite suite,
            @Nullable TaskLog log,
            String what,
            PrintWriter err) {
        int all = suite.documents();
        try (StatusLine status = new StatusLine(err, Terminal::current)) {
            return loaded.evaluate(
                    suite,
                    batchTokens,
                    batchSize,
                    log,
                    done ->
                            status.update(
                                    "%s%d of %d documents answered".formatted(what, done, all)));
        }
    }
}
