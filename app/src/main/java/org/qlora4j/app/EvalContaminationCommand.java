package org.qlora4j.app;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.task.Contamination;
import org.qlora4j.task.TaskOptions;
import org.qlora4j.task.TaskSuite;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/** {@code qlora eval contamination TASK... --data FILE}: tasks that training data holds. */
@Command(
        name = "contamination",
        description =
                "Look for documents of tasks in training data: those that share so many words in a row with it. No model is"
                        + " loaded.")
final class EvalContaminationCommand implements Callable<Integer> {
    private static final int SHOWN = 20;

    @Parameters(
            arity = "1..*",
            paramLabel = "FILE.yaml|NAME",
            description = "Task files or names of tasks, as qlora eval tasks takes them.")
    List<String> tasks = new ArrayList<>();

    @Option(
            names = "--data",
            required = true,
            paramLabel = "FILE",
            description = "The training data, in any format that qlora train reads.")
    String data = "";

    @Option(
            names = "--words",
            paramLabel = "N",
            description = "Words in a row that count as shared (${DEFAULT-VALUE}).")
    int words = Contamination.WORDS;

    @Option(names = "--json", description = "Print one JSON object: counts, and every document.")
    boolean json;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        TaskSuite suite = TaskSuite.load(tasks, TaskOptions.DEFAULT);
        Contamination.Result result = Contamination.of(suite, data, words);
        if (json) {
            out.println(new JsonMapper().writeValueAsString(result));
            return ExitCode.OK;
        }
        out.printf("%-32s%12s%10s%10s%12s%n", "task", "documents", "found", "share", "too short");
        result.tasks()
                .forEach((name, count) ->
                        out.printf(
                                Locale.ROOT,
                                "%-32s%12d%10d%9.1f%%%12d%n",
                                name,
                                count.documents(),
                                count.found(),
                                100.0 * count.found() / Math.max(1, count.documents()),
                                count.tooShort()));
        for (Contamination.Hit hit :
                result.hits().subList(0, Math.min(SHOWN, result.hits().size()))) {
            out.printf(
                    Locale.ROOT,
                    "%s %d: %.0f%% of its runs of %d words, first in record %d: %s%n",
                    hit.task(),
                    hit.document(),
                    100 * hit.share(),
                    words,
                    hit.record(),
                    hit.words());
        }
        if (result.hits().size() > SHOWN) {
            out.printf("%d more; --json prints all%n", result.hits().size() - SHOWN);
        }
        return ExitCode.OK;
    }
}
