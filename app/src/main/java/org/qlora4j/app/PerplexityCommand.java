package org.qlora4j.app;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.RunConfig;
import org.qlora4j.eval.Perplexity;
import org.qlora4j.quant.QuantConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code qlora perplexity --model DIR --data FILE}: how well a model predicts held-out answers. */
@Command(
        name = "perplexity",
        description =
                "Measure how well a model predicts the answers in a file: perplexity per token, and bits per byte, which"
                        + " compare models of different vocabularies too.")
final class PerplexityCommand implements Callable<Integer> {
    @Mixin ModelOption model = new ModelOption();

    @Option(
            names = "--data",
            required = true,
            paramLabel = "FILE",
            description = "Texts it was not trained on, in any format that qlora train reads.")
    String data = "";

    @Mixin HeldOption held = new HeldOption();

    @Parameters(
            paramLabel = "key=value",
            description =
                    "Settings of sections data and quantization, such as data.train_on_source=true.")
    List<String> words = new ArrayList<>();

    @Mixin DeviceOption device = new DeviceOption();

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        List<String> settings = new ArrayList<>(words);
        settings.add("model.model_name_or_path=" + model.path);
        settings.add("model.device=" + device.choice().key());
        settings.add("data.dataset=" + data);
        settings.addAll(held.settings());
        RunConfig config = RunConfig.of(settings.toArray(String[]::new));
        QuantConfig quantization = config.quantization();
        Perplexity.Result result =
                Perplexity.measure(
                        model.path, quantization, config.data(), config.model().device());
        Objects.requireNonNull(spec, "picocli sets it")
                .commandLine()
                .getOut()
                .println(
                        String.format(
                                Locale.ROOT,
                                "%s: perplexity %.3f per token, %.4f bits per byte (%d examples, %d tokens, %d bytes)",
                                model.path,
                                result.perToken(),
                                result.bitsPerByte(),
                                result.examples(),
                                result.tokens(),
                                result.bytes()));
        return ExitCode.OK;
    }
}
