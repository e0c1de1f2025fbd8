package org.qlora4j.app;

import java.io.PrintWriter;
import java.util.Comparator;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Classification;
import org.qlora4j.LanguageModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code qlora classify --model DIR --text TEXT}: the class of a text, or its number. */
@Command(
        name = "classify",
        description =
                "Tell the class of a text, or of two, by a model that classifies (RoBERTa): each class with its"
                        + " probability, the likeliest first.")
final class ClassifyCommand implements Callable<Integer> {
    @Mixin WriterOptions writer = new WriterOptions();

    @Option(names = "--text", required = true, paramLabel = "TEXT", description = "The text.")
    String text = "";

    @Option(
            names = "--pair",
            paramLabel = "TEXT",
            description = "A second text, for classes of pairs such as GLUE's MRPC.")
    @Nullable String pair;

    @Mixin HeldOption held = new HeldOption();

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        try (LanguageModel model = writer.load(held.config())) {
            Classification said = model.classify(text, pair);
            if (said.probabilities().isEmpty()) {
                out.println(String.format(Locale.ROOT, "%.4f", said.score()));
            }
            said.probabilities().entrySet().stream()
                    .sorted(Map.Entry.comparingByValue(Comparator.reverseOrder()))
                    .forEach(each ->
                            out.println(
                                    String.format(
                                            Locale.ROOT,
                                            "%.4f  %s",
                                            each.getValue(),
                                            each.getKey())));
        }
        return ExitCode.OK;
    }
}
