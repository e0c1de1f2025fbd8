package org.qlora4j.app;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.eval.AnswersBeside;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code qlora eval beside BEFORE.jsonl AFTER.jsonl --out page.html}: answers to be read. */
@Command(
        name = "beside",
        description =
                "Show answers of several models to the same prompts beside each other on one page: files of qlora generate"
                        + " --prompts, such as examples/probes/prompts.jsonl.")
final class EvalBesideCommand implements Callable<Integer> {
    @Parameters(
            arity = "1..*",
            paramLabel = "FILE.jsonl",
            description = "Answers; the prompts of the first are shown.")
    List<Path> files = new ArrayList<>();

    @Option(names = "--out", required = true, paramLabel = "FILE.html", description = "The page.")
    Path out = Path.of("");

    @Option(names = "--overwrite", description = "Replace the page if it exists.")
    boolean overwrite;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        OutputFile.require(out, overwrite);
        AnswersBeside beside = new AnswersBeside(files);
        AtomicFiles.writeText(out, beside.html());
        Objects.requireNonNull(spec, "picocli sets it")
                .commandLine()
                .getOut()
                .printf("%s: %d prompts, %d models%n", out, beside.prompts(), files.size());
        return ExitCode.OK;
    }
}
