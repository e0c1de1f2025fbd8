package org.qlora4j.app;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.error.FormatException;
import org.qlora4j.eval.Elo;
import org.qlora4j.eval.EvalReport;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code qlora eval report --ratings DIR}: all that ratings say, as Markdown or one page. */
@Command(
        name = "report",
        description =
                "All that ratings say: scores beside the reference, Elo, Bradley-Terry with intervals and ranks, win"
                        + " matrix, position bias; Markdown, JSON, or one page with plots.")
final class EvalReportCommand implements Callable<Integer> {
    @Mixin RatingsOptions ratings = new RatingsOptions();

    @Option(
            names = "--out",
            paramLabel = "FILE.html|FILE.md|FILE.json",
            description = "File to write; without, Markdown is printed.")
    @Nullable Path out;

    @Option(
            names = "--answers",
            arity = "1..*",
            paramLabel = "FILE.jsonl|DIR",
            description = "Answers that were judged: adds win rates at equal length.")
    List<Path> answers = new ArrayList<>();

    @Option(
            names = "--comparison",
            paramLabel = "FILE.json",
            description =
                    "What qlora eval compare --json printed: adds its table; may be given again.")
    List<Path> comparisons = new ArrayList<>();

    @Option(names = "--overwrite", description = "Replace the file if it exists.")
    boolean overwrite;

    @Option(
            names = "--orders",
            paramLabel = "N",
            description = "Random orders for Elo (${DEFAULT-VALUE}).")
    int orders = Elo.ORDERS;

    @Option(names = "--seed", paramLabel = "N", description = "Of all draws (${DEFAULT-VALUE}).")
    long seed = 42;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        CommandLine line = Objects.requireNonNull(spec, "picocli sets it").commandLine();
        Path file = out;
        if (file != null) {
            OutputFile.require(file, overwrite);
        }
        AnswerLengths lengths = answers.isEmpty() ? null : AnswerLengths.of(answers);
        EvalReport report =
                EvalReport.of(
                        ratings.read(line.getErr()),
                        orders,
                        seed,
                        lengths == null ? null : lengths::of);
        for (Path comparison : comparisons) {
            report = report.with(comparison.getFileName().toString(), json(comparison));
        }
        if (file == null) {
            line.getOut().print(report.markdown());
            return ExitCode.OK;
        }
        String name = file.toString();
        AtomicFiles.writeText(
                file,
                name.endsWith(".html")
                        ? report.html()
                        : name.endsWith(".json")
                                ? new JsonMapper().writeValueAsString(report.json()) + "\n"
                                : report.markdown());
        line.getOut().println(file);
        return ExitCode.OK;
    }

    private static JsonNode json(Path file) {
        try {
            return new JsonMapper().readTree(Files.readString(file));
        } catch (IOException | JacksonException e) {
            throw new FormatException(
                    "--comparison %s cannot be read: %s".formatted(file, e.getMessage()), e);
        }
    }
}
