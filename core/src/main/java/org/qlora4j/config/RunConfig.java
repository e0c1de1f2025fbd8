package org.qlora4j.config;

import static org.qlora4j.error.Require.require;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import org.qlora4j.data.DataConfig;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.lora.LoraInit;
import org.qlora4j.model.ModelConfig;
import org.qlora4j.model.ModelInit;
import org.qlora4j.quant.QuantConfig;

/**
 * All settings of a run, as in its YAML file: a version and one section for each concern.
 *
 * @param version of the format; {@link #VERSION}
 * @param model the base model
 * @param quantization how its weights are stored
 * @param lora the adapters
 * @param data what is trained on
 * @param distill a teacher to learn from
 * @param train the course of the run
 * @param eval how it is judged on held-out examples
 */
public record RunConfig(
        @JsonProperty("version") @JsonPropertyDescription("Version of this format.") int version,
        @JsonProperty("model") @JsonPropertyDescription("The base model.") ModelConfig model,
        @JsonProperty("quantization") @JsonPropertyDescription("How the frozen weights are stored.")
                QuantConfig quantization,
        @JsonProperty("lora") @JsonPropertyDescription("The adapters, which are what is trained.")
                LoraConfig lora,
        @JsonProperty("data") @JsonPropertyDescription("What is trained on.") DataConfig data,
        @JsonProperty("distill") @JsonPropertyDescription("A larger model to learn from.")
                DistillConfig distill,
        @JsonProperty("train") @JsonPropertyDescription("The course of the run.") TrainConfig train,
        @JsonProperty("eval")
                @JsonPropertyDescription("How the run is judged on held-out examples.")
                EvalConfig eval) {
    /** The only format so far. */
    public static final int VERSION = 1;

    /** The paper's settings; model and data are still to be named. */
    public static final RunConfig DEFAULT =
            new RunConfig(
                    VERSION,
                    ModelConfig.DEFAULT,
                    QuantConfig.DEFAULT,
                    LoraConfig.DEFAULT,
                    DataConfig.DEFAULT,
                    DistillConfig.DEFAULT,
                    TrainConfig.DEFAULT,
                    EvalConfig.DEFAULT);

    /**
     * Settings from words such as {@code train.max_steps=100}, everything else as {@link #DEFAULT}.
     * Paths are relative to the working folder.
     *
     * @throws org.qlora4j.error.ConfigException for unknown keys and values that cannot be used, a
     *     line each
     */
    public static RunConfig of(String... words) {
        return RunConfigReader.of(Overrides.ofWords(List.of(words)));
    }

    /** Settings made by methods, a key each. */
    public static RunConfigBuilder builder() {
        return new RunConfigBuilder();
    }

    /** A builder that begins with these settings. */
    public RunConfigBuilder toBuilder() {
        return new RunConfigBuilder(this);
    }

    public RunConfig {
        require(version == VERSION, "version must be %d, got %d", VERSION, version);
        require(
                !isFolder(model.modelNameOrPath(), train.outputPath()),
                "train.output_dir must not be the folder of the base model, got %s; name a new folder",
                train.outputDir());
        require(
                !train.fullFinetune() || !quantization.quantizes(),
                "train.full_finetune must be false where quantization.%s is true: weights in %s cannot"
                        + " learn; set one of them the other way",
                quantization.load4bit()
                        ? "load_in_4bit"
                        : quantization.load8bit() ? "load_in_8bit" : "keep_quantization",
                quantization.load4bit() ? "4 bits" : quantization.load8bit() ? "8 bits" : "blocks");
        require(
                model.init() != ModelInit.RANDOM || train.fullFinetune(),
                "model.init must not be random where train.full_finetune is false: an adapter belongs to weights that"
                        + " are kept");
        require(
                !model.streamLayers() || !train.fullFinetune(),
                "model.stream_layers must be false where train.full_finetune is true: weights that stay on disk cannot"
                        + " learn");
        require(
                !model.streamLayers() || !(lora.initLoraWeights() instanceof LoraInit.Pissa),
                "lora.init_lora_weights must not be %s where model.stream_layers is true: it changes the weights, which stay"
                        + " on disk; set it to true",
                lora.initLoraWeights().json());
        if (!model.newTokens().isEmpty()) {
            require(
                    !train.fullFinetune(),
                    "model.new_tokens must be empty where train.full_finetune is true: they are saved with an adapter");
            lora = lora.savingTables();
        }
        if (train.pipelineParallelSize() > 1) {
            requireOneStageEach(model, lora, distill, train, eval);
        }
        boolean tasksAlone =
                !eval.tasks().isEmpty()
                        && !eval.predictWithGenerate()
                        && !eval.loadBestModelAtEnd()
                        && eval.earlyStoppingPatience() == 0;
        require(
                !(eval.enabled() || eval.predictWithGenerate()) || data.holdsOut() || tasksAlone,
                "eval.%s needs held-out examples; name a file as data.eval_dataset, or a number of examples as"
                        + " data.eval_dataset_size",
                !eval.enabled()
                        ? "predict_with_generate"
                        : eval.evalStrategy() == EvalStrategy.NO ? "do_eval" : "eval_strategy");
    }

    /** Refuses what a process does with a whole model, where each holds a stage of it. */
    private static void requireOneStageEach(
            ModelConfig model,
            LoraConfig lora,
            DistillConfig distill,
            TrainConfig train,
            EvalConfig eval) {
        String stages = "where train.pipeline_parallel_size is above 1";
        require(!train.fullFinetune(), "train.full_finetune must be false %s", stages);
        require(train.samplePrompt().isEmpty(), "train.sample_prompt must be empty %s", stages);
        require(!model.streamLayers(), "model.stream_layers must be false %s", stages);
        require(model.newTokens().isEmpty(), "model.new_tokens must be empty %s", stages);
        require(
                lora.modulesToSave() == null || lora.modulesToSave().isEmpty(),
                "lora.modules_to_save must be null %s, got %s",
                stages,
                lora.modulesToSave());
        require(!lora.useDora(), "lora.use_dora must be false %s", stages);
        require(
                !(lora.initLoraWeights() instanceof LoraInit.Pissa),
                "lora.init_lora_weights must not be %s %s: it needs all weights",
                lora.initLoraWeights().json(),
                stages);
        require(distill.teacher() == null, "distill.teacher must be null %s", stages);
        require(eval.tasks().isEmpty(), "eval.tasks must be empty %s", stages);
        require(!eval.predictWithGenerate(), "eval.predict_with_generate must be false %s", stages);
    }

    /** False for the name of a model that cannot be a path on this system. */
    private static boolean isFolder(String name, Path folder) {
        try {
            return !name.isEmpty() && Path.of(name).normalize().equals(folder.normalize());
        } catch (InvalidPathException e) {
            return false;
        }
    }
}
