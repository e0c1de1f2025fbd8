package org.qlora4j.app;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.app.EvaluationFile.Step;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.LineLog;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/** {@code qlora eval run FILE.yaml}: finetune, answer, judge, compare, report. */
@Command(
        name = "run",
        description =
                "Run a whole evaluation from one file: finetune, answer questions, judge, compare on tasks, report. Steps"
                        + " that are done are left out when it is run again.")
final class EvalRunCommand implements Callable<Integer> {
    private static final String DONE = "steps.jsonl";

    @Parameters(paramLabel = "FILE.yaml", description = "The evaluation (docs/evaluation.md).")
    Path file = Path.of("");

    @Option(names = "--dry-run", description = "Print the commands that it stands for.")
    boolean dryRun;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        CommandSpec own = Objects.requireNonNull(spec, "picocli sets it");
        PrintWriter out = own.commandLine().getOut();
        PrintWriter err = own.commandLine().getErr();
        EvaluationFile evaluation = EvaluationFile.read(file);
        List<Step> steps = evaluation.steps(file);
        if (dryRun) {
            steps.forEach(step -> out.println(line(step)));
            return ExitCode.OK;
        }
        Path folder = Files.createDirectories(evaluation.folder(file));
        Files.createDirectories(folder.resolve("answers"));
        try (LineLog log = LineLog.open(folder.resolve(DONE))) {
            for (Step step : steps) {
                String mark = new JsonMapper().writeValueAsString(step.args());
                if (log.lines().contains(mark)) {
                    err.println("done before: " + line(step));
                    continue;
                }
                out.println(line(step));
                out.flush();
                int exit = run(step, folder, out, err);
                if (exit != ExitCode.OK) {
                    return exit;
                }
                if (!step.again()) {
                    log.append(mark);
                }
            }
        }
        return ExitCode.OK;
    }

    private static String line(Step step) {
        return "qlora "
                + String.join(" ", step.args())
                + (step.out() == null ? "" : " > " + step.out());
    }

    private static int run(Step step, Path folder, PrintWriter out, PrintWriter err) {
        Path trained = folder.resolve("trained");
        List<String> args = step.args();
        if (args.getFirst().equals("train") && Files.exists(trained)) { // killed in its midst
            args = List.of("train", trained.toString(), "--resume");
        }
        Path to = step.out();
        if (to == null) {
            return Main.run(args.toArray(String[]::new), out, err);
        }
        StringWriter text = new StringWriter();
        int exit = Main.run(args.toArray(String[]::new), new PrintWriter(text, true), err);
        if (exit == ExitCode.OK) {
            AtomicFiles.writeText(to, text.toString());
        }
        return exit;
    }
}
