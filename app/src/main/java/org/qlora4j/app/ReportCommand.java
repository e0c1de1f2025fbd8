package org.qlora4j.app;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.ReportKind;
import org.qlora4j.error.ConfigException;
import org.qlora4j.report.RunReports;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code qlora report RUN}: the page and the curves of a run that is over, or goes on. */
@Command(
        name = "report",
        description =
                "Write report.html, loss.png and learning_rate.png into a run folder, of a run that is over or still goes on.")
final class ReportCommand implements Callable<Integer> {
    @Parameters(paramLabel = "RUN", description = "The run folder.")
    @Nullable Path run;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        Path folder = Objects.requireNonNull(run, "picocli requires it");
        if (!Files.isRegularFile(folder.resolve("config.yaml"))) {
            throw ConfigException.of("%s holds no run; name the train.output_dir of one", folder);
        }
        RunReports.write(folder, List.of(ReportKind.HTML, ReportKind.PNG), Map.of());
        Objects.requireNonNull(spec, "picocli sets it")
                .commandLine()
                .getOut()
                .println(folder.resolve(RunReports.HTML_FILE));
        return ExitCode.OK;
    }
}
