package org.qlora4j.app;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.study.StudyConfig;
import org.qlora4j.study.StudyFolder;
import org.qlora4j.study.StudyTable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/** {@code qlora study datatypes|adapters|precision FILE.yaml --out DIR}: the paper's studies. */
@Command(
        name = "study",
        description = {
            "Repeat the paper's studies on any model: datatypes (rounding weights: Table 2, Figure 3), adapters (where they"
                    + " sit, their rank: Figure 2), precision (of the base while finetuning: Tables 3 and 4).",
            "What is measured stays in the folder: run it again to go on, also in several processes."
        })
final class StudyCommand implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "datatypes|adapters|precision", description = "Which.")
    String study = "";

    @Parameters(
            index = "1..*",
            arity = "0..*",
            paramLabel = "FILE.yaml|key=value",
            description =
                    "What is compared, with settings of model, data and training; further settings go before those of the file.")
    List<String> words = new ArrayList<>();

    @Option(
            names = "--out",
            required = true,
            paramLabel = "DIR",
            description = "Where cells, table (study.md, study.json) and plot (study.svg) go.")
    Path out = Path.of("");

    @Option(
            names = "--processes",
            paramLabel = "N",
            description =
                    "Cells measured at once, each in a process of its own (${DEFAULT-VALUE}).")
    int processes = 1;

    @Option(names = "--json", description = "Print one JSON object, by row of the table.")
    boolean json;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        CommandLine line = Objects.requireNonNull(spec, "picocli sets it").commandLine();
        if (processes < 1) {
            throw ConfigException.of("--processes must be at least 1, got %d", processes);
        }
        boolean file = !words.isEmpty() && !words.getFirst().contains("=");
        StudyConfig config =
                file ? StudyConfig.read(Path.of(words.getFirst())) : StudyConfig.DEFAULT;
        List<String> settings = file ? words.subList(1, words.size()) : words;
        StudyFolder folder = StudyFolder.open(out, study, config, settings);
        PrintWriter err = line.getErr();
        err.printf("%d cells to measure%n", folder.open());
        List<Process> others = others(Math.min(processes, folder.open()) - 1);
        StudyTable table;
        try {
            table = folder.table(cell -> err.println("measuring " + cell));
        } finally {
            others.forEach(Process::destroy); // at work only if this one failed
        }
        if (json) {
            line.getOut().println(new JsonMapper().writeValueAsString(table.json()));
        } else {
            line.getOut().print(table.markdown());
            line.getOut().println("table, plot and cells: " + out);
        }
        return ExitCode.OK;
    }

    /** Starts processes that measure in the same folder. */
    private List<Process> others(int count) {
        List<String> own = new ArrayList<>(List.of("study", study));
        own.addAll(words);
        own.addAll(List.of("--out", out.toString()));
        List<String> command = OwnJvm.command(own);
        List<Process> started = new ArrayList<>();
        try {
            for (int i = 0; i < count; i++) {
                Path log = out.resolve("process-" + (i + 1) + ".log");
                Files.deleteIfExists(log);
                started.add(
                        new ProcessBuilder(command)
                                .redirectErrorStream(true)
                                .redirectOutput(Redirect.to(log.toFile()))
                                .start());
            }
        } catch (IOException e) {
            started.forEach(Process::destroy);
            throw new UncheckedIOException("--processes: " + e.getMessage(), e);
        }
        return started;
    }
}
