package org.qlora4j.config;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import tools.jackson.databind.JsonNode;

/**
 * Makes settings in a program, with every key a method. What is not set stays as in {@link
 * RunConfig#DEFAULT}, or as in the settings that it began with.
 *
 * <pre>{@code
 * RunConfig config = RunConfig.builder()
 *         .model(model -> model.modelNameOrPath("SmolLM2-135M-Instruct"))
 *         .data(data -> data.dataset("mine.jsonl"))
 *         .train(train -> train.outputDir(Path.of("runs/mine")).numTrainEpochs(3.0))
 *         .build();
 * }</pre>
 *
 * <p>Values are treated as words of the command line are: relative paths stand relative to the
 * working folder, and of two values for one key the later holds.
 */
public final class RunConfigBuilder {
    private final List<SettingsLayer.Given> begin = new ArrayList<>();
    private final List<SettingsLayer.Given> given = new ArrayList<>();
    private @Nullable Preset preset;

    RunConfigBuilder() {}

    /** Begins with settings that are there. */
    RunConfigBuilder(RunConfig config) {
        JsonNode tree = ConfigMapper.YAML.valueToTree(config);
        JsonNode defaults = ConfigKeys.defaults();
        for (ConfigKeys.Key key : ConfigKeys.all()) {
            JsonNode value = tree.path(key.section()).path(key.leaf());
            if (!value.equals(defaults.path(key.section()).path(key.leaf()))) {
                begin.add(new SettingsLayer.Given(key, value, SectionValues.WHERE));
            }
        }
    }

    /** Lays the settings of a preset beneath all others. */
    public RunConfigBuilder preset(Preset beneath) {
        preset = beneath;
        return this;
    }

    /** Sets keys of the section {@code model}. */
    public RunConfigBuilder model(Consumer<ModelKeys> keys) {
        keys.accept(new ModelKeys(section("model")));
        return this;
    }

    /** Sets keys of the section {@code quantization}. */
    public RunConfigBuilder quantization(Consumer<QuantizationKeys> keys) {
        keys.accept(new QuantizationKeys(section("quantization")));
        return this;
    }

    /** Sets keys of the section {@code lora}. */
    public RunConfigBuilder lora(Consumer<LoraKeys> keys) {
        keys.accept(new LoraKeys(section("lora")));
        return this;
    }

    /** Sets keys of the section {@code data}. */
    public RunConfigBuilder data(Consumer<DataKeys> keys) {
        keys.accept(new DataKeys(section("data")));
        return this;
    }

    /** Sets keys of the section {@code distill}. */
    public RunConfigBuilder distill(Consumer<DistillKeys> keys) {
        keys.accept(new DistillKeys(section("distill")));
        return this;
    }

    /** Sets keys of the section {@code train}. */
    public RunConfigBuilder train(Consumer<TrainKeys> keys) {
        keys.accept(new TrainKeys(section("train")));
        return this;
    }

    /** Sets keys of the section {@code eval}. */
    public RunConfigBuilder eval(Consumer<EvalKeys> keys) {
        keys.accept(new EvalKeys(section("eval")));
        return this;
    }

    private SectionValues section(String name) {
        return new SectionValues(name, given);
    }

    /**
     * The settings.
     *
     * @throws ConfigException for values that cannot be used, a line each
     */
    public RunConfig build() {
        return RunConfigReader.of(
                preset,
                List.of(new SettingsLayer(begin, List.of()), new SettingsLayer(given, List.of())));
    }
}
