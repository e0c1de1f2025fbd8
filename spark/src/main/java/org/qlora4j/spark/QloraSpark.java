package org.qlora4j.spark;

import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.jspecify.annotations.Nullable;
import org.qlora4j.ask.CallJournal;
import org.qlora4j.ask.CallSettings;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.UserException;
import org.qlora4j.eval.Perplexity;
import org.qlora4j.generate.TextScorer;
import org.qlora4j.judge.AnswerRun;
import org.qlora4j.judge.JudgeConfig;
import org.qlora4j.judge.JudgePrompts;
import org.qlora4j.judge.JudgeRun;
import org.qlora4j.judge.Question;
import org.qlora4j.judge.SystemAnswers;
import org.qlora4j.task.TaskOptions;
import org.qlora4j.task.TaskResults;
import org.qlora4j.task.TaskRun;
import org.qlora4j.task.TaskSuite;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.json.JsonMapper;

/** What {@code spark-submit --class org.qlora4j.spark.QloraSpark} does; docs/scale.md has lines. */
@Command(
        name = "qlora-spark",
        description =
                "Spread answers, judgments, tasks, perplexity or runs over Spark's executors.",
        mixinStandardHelpOptions = true,
        subcommands = {
            QloraSpark.Answers.class,
            QloraSpark.Judge.class,
            QloraSpark.Tasks.class,
            QloraSpark.Texts.class,
            QloraSpark.Sweep.class
        })
public final class QloraSpark {
    private static final JsonMapper JSON = new JsonMapper();

    private QloraSpark() {}

    /** Ends the driver with 2 for mistakes of the user, 1 for ours. */
    public static void main(String[] args) {
        CommandLine line = new CommandLine(new QloraSpark());
        line.setExecutionExceptionHandler((e, failed, result) -> {
            Throwable cause = e;
            while (cause != null && !(cause instanceof UserException)) {
                cause = cause.getCause(); // Spark wraps what its tasks threw
            }
            if (cause == null) {
                throw e;
            }
            failed.getErr().println("qlora-spark: " + cause.getMessage());
            return CommandLine.ExitCode.USAGE;
        });
        System.exit(line.execute(args));
    }

    /** A context with what {@code spark-submit} set. */
    private static JavaSparkContext context(String job) {
        return new JavaSparkContext(new SparkConf().setAppName("qlora4j " + job));
    }

    private static Path free(Path out) {
        if (Files.exists(out)) {
            throw ConfigException.of("%s exists; name another --out", out);
        }
        return out;
    }

    /** The model that executors load. */
    static final class ModelOptions {
        @Option(
                names = "--model",
                required = true,
                description = "A folder or GGUF file that every executor sees.")
        String model = "";

        @Option(names = "--adapter", description = "An adapter, likewise.")
        @Nullable String adapter;

        @Option(
                names = "--set",
                paramLabel = "KEY=VALUE",
                description = "Of quantization, such as quantization.load_in_4bit=false.")
        List<String> settings = new ArrayList<>();

        @Option(names = "--batch", description = "Texts of an executor at once (${DEFAULT-VALUE}).")
        int batch = 16;

        SparkModel named() {
            return new SparkModel(model, adapter, settings, batch);
        }
    }

    /** Answers to questions, as {@code qlora eval chat}. */
    @Command(name = "answers", description = "Let a model answer questions, as qlora eval chat.")
    static final class Answers implements Callable<Integer> {
        @Mixin ModelOptions model = new ModelOptions();

        @Parameters(paramLabel = "QUESTIONS.jsonl")
        Path questions = Path.of("");

        @Option(names = "--out", required = true, paramLabel = "FILE.jsonl")
        Path out = Path.of("");

        @Option(names = "--limit", description = "Only the first N questions.")
        int limit = Integer.MAX_VALUE;

        @Option(names = "--guanaco", description = "The paper's raw prompts.")
        boolean guanaco;

        @Option(names = "--max-new-tokens", description = "(${DEFAULT-VALUE})")
        int maxNewTokens = CallSettings.DEFAULT.maxTokens();

        @Option(names = "--temperature", description = "0 for the likeliest (${DEFAULT-VALUE}).")
        double temperature = CallSettings.DEFAULT.temperature();

        @Option(names = "--top-p", description = "(${DEFAULT-VALUE})")
        double topP = CallSettings.DEFAULT.topP();

        @Option(names = "--seed", description = "(${DEFAULT-VALUE})")
        long seed = CallSettings.DEFAULT.seed();

        @Override
        public Integer call() {
            AnswerRun run =
                    new AnswerRun(
                            Question.read(questions, limit),
                            new CallSettings(
                                    temperature, topP, maxNewTokens, seed, AnswerRun.stop(guanaco)),
                            guanaco);
            free(out);
            try (CallJournal journal = CallJournal.open(Path.of(out + ".calls"));
                    JavaSparkContext spark = context("answers")) {
                run.run(new SparkChatModel(spark, model.named()), journal, out, done -> {});
            }
            return 0;
        }
    }

    /** Judgments, as {@code qlora eval judge}. */
    @Command(name = "judge", description = "Let a model judge answers, as qlora eval judge.")
    static final class Judge implements Callable<Integer> {
        @Mixin ModelOptions model = new ModelOptions();

        @Option(names = "--questions", required = true, paramLabel = "FILE.jsonl")
        Path questions = Path.of("");

        @Option(names = "--answers", required = true, arity = "1..*", paramLabel = "FILE.jsonl")
        List<Path> answers = new ArrayList<>();

        @Option(names = "--out", required = true, paramLabel = "DIR")
        Path out = Path.of("");

        @Override
        public Integer call() throws Exception {
            JudgeConfig text = JudgeConfig.DEFAULT;
            JudgeConfig config =
                    new JudgeConfig(
                            text.mode(),
                            true,
                            false,
                            text.attempts(),
                            text.again(),
                            null,
                            null,
                            text.seed());
            JudgeRun run =
                    new JudgeRun(
                            config,
                            JudgePrompts.read(config.mode(), null, null),
                            Question.read(questions),
                            answers.stream()
                                    .map(f -> SystemAnswers.read(f, SystemAnswers.nameOf(f)))
                                    .toList(),
                            null);
            Files.createDirectories(out);
            try (CallJournal journal = CallJournal.open(out.resolve(JudgeRun.TRANSCRIPT));
                    JavaSparkContext spark = context("judge")) {
                run.run(new SparkChatModel(spark, model.named()), journal, out, false, done -> {});
            }
            return 0;
        }
    }

    /** Evaluation tasks, as {@code qlora eval tasks}. */
    @Command(name = "tasks", description = "Ask a model evaluation tasks, as qlora eval tasks.")
    static final class Tasks implements Callable<Integer> {
        @Mixin ModelOptions model = new ModelOptions();

        @Parameters(arity = "1..*", paramLabel = "TASK")
        List<String> tasks = new ArrayList<>();

        @Option(names = "--out", required = true, paramLabel = "FILE.json")
        Path out = Path.of("");

        @Option(names = "--tokens-at-once", description = "(${DEFAULT-VALUE})")
        int tokensAtOnce = TextScorer.TOKENS_AT_ONCE;

        @Override
        public Integer call() {
            TaskSuite suite = TaskSuite.load(tasks, TaskOptions.DEFAULT);
            free(out);
            try (JavaSparkContext spark = context("tasks");
                    SparkTaskModel asked = new SparkTaskModel(spark, model.named(), tokensAtOnce)) {
                TaskResults results = TaskRun.run(suite, asked, null, done -> {});
                AtomicFiles.writeText(out, JSON.writeValueAsString(results.json()) + "\n");
            }
            return 0;
        }
    }

    /** Perplexity of texts. */
    @Command(
            name = "perplexity",
            description =
                    "How well a model predicts whole texts; prints and writes a line of JSON.")
    static final class Texts implements Callable<Integer> {
        @Mixin ModelOptions model = new ModelOptions();

        @Parameters(paramLabel = "TEXTS.jsonl", description = "A file, folder or pattern.")
        String texts = "";

        @Option(names = "--field", description = "Of each line (${DEFAULT-VALUE}).")
        String field = "text";

        @Option(names = "--out", required = true, paramLabel = "FILE.json")
        Path out = Path.of("");

        @Option(names = "--tokens-at-once", description = "(${DEFAULT-VALUE})")
        int tokensAtOnce = TextScorer.TOKENS_AT_ONCE;

        @Override
        public Integer call() {
            free(out);
            try (JavaSparkContext spark = context("perplexity")) {
                JavaRDD<String> all = PerplexityJob.read(spark, texts, field);
                Perplexity.Result result = PerplexityJob.run(all, model.named(), tokensAtOnce);
                String line = JSON.writeValueAsString(PerplexityJob.json(result)) + "\n";
                AtomicFiles.writeText(out, line);
                PrintStream to = System.out;
                to.print(line);
            }
            return 0;
        }
    }

    /** Runs that differ in settings. */
    @Command(
            name = "sweep",
            description = "Train once for each --cell; prints a line of JSON for each.")
    static final class Sweep implements Callable<Integer> {
        @Parameters(arity = "0..*", paramLabel = "KEY=VALUE", description = "Settings of all runs.")
        List<String> common = new ArrayList<>();

        @Option(
                names = "--cell",
                required = true,
                paramLabel = "NAME:KEY=VALUE,...",
                description = "A run: its folder's name, and its own settings.")
        List<String> cells = new ArrayList<>();

        @Option(
                names = "--out",
                required = true,
                paramLabel = "DIR",
                description = "A folder that every executor sees; a sweep that was ended goes on.")
        Path out = Path.of("");

        @Override
        public Integer call() {
            List<SweepJob.Cell> wanted =
                    cells.stream()
                            .map(cell -> {
                                String[] parts = cell.split(":", 2);
                                String own = parts.length < 2 ? "" : parts[1];
                                return new SweepJob.Cell(
                                        parts[0],
                                        Arrays.stream(own.split(","))
                                                .filter(word -> !word.isEmpty())
                                                .toList());
                            })
                            .toList();
            try (JavaSparkContext spark = context("sweep")) {
                PrintStream to = System.out;
                SweepJob.run(spark, out, common, wanted)
                        .forEach(row -> to.println(JSON.writeValueAsString(row.json())));
            }
            return 0;
        }
    }
}
