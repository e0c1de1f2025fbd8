package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.LanguageModel;
import org.qlora4j.config.RunConfig;
import org.qlora4j.task.PairedDifference;
import org.qlora4j.task.TaskComparison;
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

/** {@code qlora eval compare TASK... --model DIR --adapter DIR}: what an adapter changed. */
@Command(
        name = "compare",
        description =
                "Ask tasks of a model, then of it with an adapter, and compare document by document: the difference"
                        + " with interval and tests, what was learnt and what forgotten.")
final class EvalCompareCommand implements Callable<Integer> {
    @Mixin TaskCommandOptions tasks = new TaskCommandOptions();

    @Option(
            names = "--adapter",
            required = true,
            paramLabel = "DIR",
            description = "A PEFT adapter, or a run folder of qlora train.")
    Path adapter = Path.of("");

    @Option(
            names = "--log-before",
            paramLabel = "FILE.jsonl",
            description =
                    "Log of the model alone, as --log of qlora eval tasks; what stands in it is not asked again.")
    @Nullable Path logBefore;

    @Option(
            names = "--log-after",
            paramLabel = "FILE.jsonl",
            description = "Log of the model with the adapter.")
    @Nullable Path logAfter;

    @Option(names = "--json", description = "Print one JSON object, by task and metric.")
    boolean json;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        CommandLine line = Objects.requireNonNull(spec, "picocli sets it").commandLine();
        RunConfig config = tasks.config();
        TaskSuite suite = tasks.suite();
        TaskComparison comparison;
        try (TaskLog before = tasks.openLog(logBefore, config, null);
                TaskLog after = tasks.openLog(logAfter, config, adapter);
                LanguageModel loaded = tasks.load(config, null)) {
            PrintWriter err = line.getErr();
            TaskResults base = tasks.evaluate(loaded, suite, before, "before: ", err);
            loaded.withAdapter(adapter);
            TaskResults adapted = tasks.evaluate(loaded, suite, after, "after: ", err);
            comparison = TaskComparison.of(suite, base, adapted);
        }
        if (json) {
            line.getOut().println(new JsonMapper().writeValueAsString(comparison.json()));
        } else {
            print(comparison, line.getOut());
        }
        return ExitCode.OK;
    }

    private static void print(TaskComparison comparison, PrintWriter out) {
        out.printf(
                "%-28s%-26s%9s%9s%9s  %-20s%8s%8s%8s%10s%n",
                "task",
                "metric",
                "before",
                "after",
                "change",
                "95% interval",
                "p",
                "learnt",
                "forgot",
                "needed");
        comparison
                .differences()
                .forEach((task, metrics) ->
                        metrics.forEach((key, d) -> out.println(row(task, key, d))));
        out.println(
                "p: exact McNemar test where documents are right or wrong, else of the paired bootstrap;");
        out.println(
                "needed: documents that would show a change of this size in four of five trials at the 5% level");
    }

    private static String row(String task, String key, PairedDifference d) {
        double p = d.mcNemarP().orElse(d.bootstrapP());
        return String.format(
                Locale.ROOT,
                "%-28s%-26s%9.4f%9.4f%+9.4f  [%+.4f, %+.4f]  %8s%8s%8s%10s",
                task,
                key,
                d.before(),
                d.after(),
                d.difference(),
                d.low(),
                d.high(),
                p < 1e-4 ? "<0.0001" : String.format(Locale.ROOT, "%.4f", p),
                d.learnt().isPresent() ? String.valueOf(d.learnt().getAsInt()) : "-",
                d.forgotten().isPresent() ? String.valueOf(d.forgotten().getAsInt()) : "-",
                d.needed().isPresent()
                        ? String.format(Locale.ROOT, "%.0f", d.needed().getAsDouble())
                        : "-");
    }
}
