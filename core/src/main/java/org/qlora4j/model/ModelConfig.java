package org.qlora4j.model;

import static org.qlora4j.error.Require.require;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import java.util.HashSet;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.DeviceChoice;

/**
 * Which model is finetuned, and where it runs: section {@code model} of the settings.
 *
 * @param modelNameOrPath a checkpoint folder, a {@code .gguf} file, a name on the hub or {@link
 *     EmbeddedModel#NAME}; empty as long as it was not given
 * @param init where its weights come from
 * @param device where it runs
 * @param numLabels classes of a model that classifies; null as config.json says
 * @param labelNames what they are called
 * @param newTokens tokens that are added to its tokenizer and to its tables
 * @param streamLayers whether its layers stay on disk
 */
public record ModelConfig(
        @JsonProperty("model_name_or_path")
                @JsonPropertyDescription(
                        "The base model: a folder with config.json and *.safetensors, a .gguf file, org/name on the Hugging"
                                + " Face hub, embedded, the small one that comes with qlora4j, or smollm2, a larger one"
                                + " (HuggingFaceTB/SmolLM2-135M-Instruct, or what QLORA_SMOLLM2 names).")
                String modelNameOrPath,
        @JsonProperty("init")
                @JsonPropertyDescription(
                        "Its weights: checkpoint takes those of the model, random draws new ones from train.seed, for"
                                + " which config.json and the tokenizer suffice.")
                ModelInit init,
        @JsonProperty("device")
                @JsonPropertyDescription(
                        "Where the model runs; auto takes the fastest device found.")
                DeviceChoice device,
        @JsonProperty("num_labels")
                @JsonPropertyDescription(
                        "Classes of a model that classifies (RoBERTa), 1 for a number (STS-B); null takes those of config.json,"
                                + " or as many as label_names.")
                @Nullable Integer numLabels,
        @JsonProperty("label_names")
                @JsonPropertyDescription(
                        "What the classes are called, in their order, such as [negative, positive]; data may call them so.")
                List<String> labelNames,
        @JsonProperty("new_tokens")
                @JsonPropertyDescription(
                        "Tokens to add to the tokenizer, such as [<call>, </call>]. Embeddings and head get a row for"
                                + " each, the mean of the others, learn whole, and are saved with the adapter, as is the"
                                + " tokenizer.")
                List<String> newTokens,
        @JsonProperty("stream_layers")
                @JsonPropertyDescription(
                        "Leave the layers on disk and read each as it is used, two in memory at most, for a model that is"
                                + " larger than memory. The same numbers, but a step waits for the disk twice. The"
                                + " checkpoint is in 4 bits (qlora quantize).")
                boolean streamLayers) {
    /** No model yet: the one thing besides the data that must be given. */
    public static final ModelConfig DEFAULT =
            new ModelConfig(
                    "", ModelInit.CHECKPOINT, DeviceChoice.AUTO, null, List.of(), List.of(), false);

    public ModelConfig {
        require(
                modelNameOrPath.isEmpty() || !modelNameOrPath.isBlank(),
                "model.model_name_or_path must name a model, got only blanks");
        for (String token : newTokens) {
            require(
                    !token.isBlank(),
                    "model.new_tokens has an empty token; write its text, e.g. <call>");
        }
        require(
                newTokens.size() == new HashSet<>(newTokens).size(),
                "model.new_tokens names a token twice: %s",
                newTokens);
        require(
                numLabels == null || numLabels >= 1,
                "model.num_labels must be at least 1, got %s",
                String.valueOf(numLabels));
        labelNames = List.copyOf(labelNames);
        newTokens = List.copyOf(newTokens);
        modelNameOrPath = NamedModels.resolve(modelNameOrPath);
        labels(numLabels, labelNames); // they must fit
    }

    /** The classes that are given here. */
    public Labels labels() {
        return labels(numLabels, labelNames);
    }

    private static Labels labels(@Nullable Integer count, List<String> names) {
        return new Labels(count == null ? names.size() : count, names);
    }
}
