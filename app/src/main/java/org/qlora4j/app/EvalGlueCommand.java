package org.qlora4j.app;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.LanguageModel;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.run.EvalMetrics;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code qlora eval glue --model DIR --adapter DIR --data FILE}: the figures of a GLUE task. */
@Command(
        name = "glue",
        description =
                "Classify the texts of a file and compare with its labels, as GLUE does: accuracy, F1 and Matthews"
                        + " correlation of classes, Pearson and Spearman of numbers.")
final class EvalGlueCommand implements Callable<Integer> {
    @Mixin WriterOptions writer = new WriterOptions();

    @Option(
            names = "--data",
            required = true,
            paramLabel = "FILE",
            description = "Texts with labels, in any file that qlora train reads.")
    String data = "";

    @Option(
            names = "--batch",
            paramLabel = "N",
            description = "Texts classified at once (${DEFAULT-VALUE}).")
    int batch = 16;

    @Mixin HeldOption held = new HeldOption();

    @Parameters(
            paramLabel = "key=value",
            description = "Settings of section data, such as data.source_max_len=128.")
    List<String> words = new ArrayList<>();

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        if (batch < 1) {
            throw ConfigException.of("--batch must be at least 1, got %d", batch);
        }
        List<String> settings = new ArrayList<>(words);
        settings.add("model.model_name_or_path=" + writer.model.path);
        settings.add("data.dataset=" + data);
        RunConfig config = RunConfig.of(settings.toArray(String[]::new));
        try (LanguageModel model = writer.load(held.config())) {
            EvalMetrics metrics = model.evaluateClasses(config.data(), batch);
            Objects.requireNonNull(spec, "picocli sets it")
                    .commandLine()
                    .getOut()
                    .println(
                            String.format(
                                    Locale.ROOT,
                                    "%s: %d texts, loss %.4f%s",
                                    data,
                                    metrics.examples(),
                                    metrics.loss(),
                                    TrainReport.scores(metrics.scores())));
        }
        return ExitCode.OK;
    }
}
