package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.LanguageModel;
import org.qlora4j.config.RunConfig;
import org.qlora4j.task.TaskLog;
import org.qlora4j.task.TaskResults;
import org.qlora4j.task.TaskSuite;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/** {@code qlora eval tasks FILE.yaml|NAME... --model DIR}: evaluation tasks such as MMLU. */
@Command(
        name = "tasks",
        description =
                "Ask a model evaluation tasks: task files of lm-evaluation-harness as they are, or names of those that"
                        + " come with qlora4j. Numbers and their names are the harness'.")
final class EvalTasksCommand implements Callable<Integer> {
    @Mixin TaskCommandOptions tasks = new TaskCommandOptions();

    @Option(
            names = "--adapter",
            paramLabel = "DIR",
            description = "A PEFT adapter to put on it, or a run folder of qlora train.")
    @Nullable Path adapter;

    @Option(names = "--json", description = "Print one JSON object, named as the harness' results.")
    boolean json;

    @Option(
            names = "--log",
            paramLabel = "FILE.jsonl",
            description =
                    "A line for each document with what was asked and answered; what stands in it already is not asked again.")
    @Nullable Path log;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        CommandLine line = Objects.requireNonNull(spec, "picocli sets it").commandLine();
        RunConfig config = tasks.config();
        TaskSuite suite = tasks.suite();
        try (TaskLog opened = tasks.openLog(log, config, adapter);
                LanguageModel loaded = tasks.load(config, adapter)) {
            TaskResults results = tasks.evaluate(loaded, suite, opened, "", line.getErr());
            if (json) {
                line.getOut().println(new JsonMapper().writeValueAsString(results.json()));
            } else {
                print(results, line.getOut());
            }
        }
        return ExitCode.OK;
    }

    private static void print(TaskResults results, PrintWriter out) {
        out.printf("%-32s%-8s%-28s%12s%12s%n", "task", "shots", "metric", "value", "+-");
        results.results()
                .forEach((name, metrics) ->
                        metrics.forEach((key, value) -> {
                            if (value instanceof Double number && !key.contains("_stderr,")) {
                                Object error = metrics.get(key.replaceFirst(",", "_stderr,"));
                                out.printf(
                                        Locale.ROOT,
                                        "%-32s%-8s%-28s%12.4f%12s%n",
                                        name,
                                        shots(results.shots(), name),
                                        key,
                                        number,
                                        error instanceof Double e
                                                ? String.format(Locale.ROOT, "%.4f", e)
                                                : "N/A");
                            }
                        }));
        out.println("+- is one standard error");
    }

    private static String shots(Map<String, Integer> shots, String task) {
        return shots.containsKey(task) ? String.valueOf(shots.get(task)) : "";
    }
}
