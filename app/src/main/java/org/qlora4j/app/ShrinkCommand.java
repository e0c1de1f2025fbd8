package org.qlora4j.app;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.export.ShrinkConfig;
import org.qlora4j.export.Shrinker;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code qlora shrink --model DIR --out DIR}: a larger model in, a smaller one out. */
@Command(
        name = "shrink",
        description =
                "Make a smaller model out of a larger one's tensors. It must be trained afterwards: qlora train with"
                        + " full_finetune, best with the larger one as distill.teacher.")
final class ShrinkCommand implements Callable<Integer> {
    @Mixin ModelOption model = new ModelOption();

    @Option(
            names = "--out",
            required = true,
            paramLabel = "DIR",
            description = "The folder to make for the smaller one.")
    Path out = Path.of("");

    @Option(
            names = "--vocab-size",
            paramLabel = "N",
            description = "Tokens to keep: special ones, letters and the first merges (all).")
    @Nullable Integer vocabularySize;

    @Option(
            names = "--layers",
            paramLabel = "I,J,...",
            split = ",",
            description = "Layers to keep, counted from 0 (all).")
    @Nullable List<Integer> layers;

    @Option(
            names = "--hidden-size",
            paramLabel = "N",
            description = "Channels of the residual stream to keep (all).")
    @Nullable Integer hiddenSize;

    @Option(
            names = "--intermediate-size",
            paramLabel = "N",
            description = "Inner channels of each MLP to keep (all).")
    @Nullable Integer intermediateSize;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        Shrinker.Result result =
                Shrinker.shrink(
                        model.path,
                        new ShrinkConfig(vocabularySize, layers, hiddenSize, intermediateSize),
                        out);
        Objects.requireNonNull(spec, "picocli sets it")
                .commandLine()
                .getOut()
                .println(
                        String.format(
                                Locale.ROOT,
                                "%s: %.1fM weights, of %.1fM",
                                out,
                                result.after() / 1e6,
                                result.before() / 1e6));
        return ExitCode.OK;
    }
}
