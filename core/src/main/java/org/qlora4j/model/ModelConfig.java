package org.qlora4j.model;

import static org.qlora4j.error.Require.require;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import org.qlora4j.kernel.DeviceChoice;

/**
 * Which model is finetuned, and where it runs: section {@code model} of the settings.
 *
 * @param modelNameOrPath a checkpoint folder or a {@code .gguf} file; empty as long as it was not
 *     given
 * @param init where its weights come from
 * @param device where it runs
 */
public record ModelConfig(
        @JsonProperty("model_name_or_path")
                @JsonPropertyDescription(
                        "The base model: a folder with config.json and *.safetensors, or a .gguf file.")
                String modelNameOrPath,
        @JsonProperty("init")
                @JsonPropertyDescription(
                        "Its weights: checkpoint takes those of the model, random draws new ones from train.seed, for"
                                + " which config.json and the tokenizer suffice.")
                ModelInit init,
        @JsonProperty("device")
                @JsonPropertyDescription(
                        "Where the model runs; auto takes the fastest device found.")
                DeviceChoice device) {
    /** No model yet: the one thing besides the data that must be given. */
    public static final ModelConfig DEFAULT =
            new ModelConfig("", ModelInit.CHECKPOINT, DeviceChoice.AUTO);

    public ModelConfig {
        require(
                modelNameOrPath.isEmpty() || !modelNameOrPath.isBlank(),
                "model.model_name_or_path must name a model, got only blanks");
    }
}
