package org.qlora4j.plan;

import java.util.Locale;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigWriter;
import org.qlora4j.config.TrainConfig;
import org.qlora4j.data.ExampleView;
import org.qlora4j.error.ConfigException;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.ModelShape.LinearShape;

/** What a run would do, found out without loading weights. */
public final class DryRun {
    private DryRun() {}

    /**
     * What a run would do: the resolved settings, the number of weights that would learn, what
     * became of the data, and the first example with its trained tokens marked.
     *
     * @param ansi mark by colour instead of brackets
     */
    public static String describe(RunConfig config, boolean ansi) {
        try (RunInputs inputs = RunInputs.load(config)) {
            return describe(config, inputs, ansi);
        }
    }

    private static String describe(RunConfig config, RunInputs inputs, boolean ansi) {
        ModelShape model = inputs.shape();
        int layers = 0;
        for (LinearShape shape : model.linears()) {
            if (config.train().fullFinetune()) {
                layers++;
            } else if (LoraAdapter.chooses(config.lora(), shape.path())) {
                layers++;
            }
        }
        if (layers == 0) {
            throw ConfigException.of(
                    "lora.target_modules %s chooses no layer of the model",
                    config.lora().targetModules().json());
        }
        if (!config.train().fullFinetune()) {
            LoraAdapter.requireEachNamed(
                    config.lora(), model.linears().stream().map(LinearShape::path).toList());
        }
        boolean full = config.train().fullFinetune();
        long trainable = LearntWeights.of(model, config.lora(), full).count();
        TrainingData data = inputs.data();
        TrainConfig train = config.train();
        int stepsPerEpoch = data.sampler(config).stepsPerEpoch();
        StringBuilder out = new StringBuilder(RunConfigWriter.toYaml(config));
        out.append(
                String.format(
                        Locale.ROOT,
                        "\nmodel: %,d weights; %,d would learn (%.2f%%), in %d of %d linear layers\n",
                        model.parameterCount(),
                        trainable,
                        100.0 * trainable / model.parameterCount(),
                        layers,
                        model.linears().size()));
        data.train()
                .report(config.data())
                .forEach(line -> out.append("data: ").append(line).append('\n'));
        String length = RunLength.notice(config, data);
        if (length != null) {
            out.append("run: ").append(length).append('\n');
        }
        out.append(
                "run: %d steps, %d steps an epoch, learning rate %s\n"
                        .formatted(
                                train.totalSteps(stepsPerEpoch),
                                stepsPerEpoch,
                                train.learningRateFor(model.parameterCount())));
        out.append("\nfirst example:\n")
                .append(
                        ExampleView.show(
                                data.train().examples().getFirst(),
                                TrainingData.layout(model),
                                inputs.tokenizer(),
                                ansi));
        return out.toString();
    }
}
