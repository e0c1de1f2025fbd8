package org.qlora4j.config;

import static org.qlora4j.error.Require.require;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import org.jspecify.annotations.Nullable;

/**
 * Learning from a larger model's logits (arXiv 1503.02531): section {@code distill} of the
 * settings.
 *
 * @param teacher a checkpoint folder or a {@code .gguf} file; null trains on the labels alone
 * @param temperature by which both models' logits are divided before they are compared; above 0
 * @param weight the teacher's share of the loss, in (0, 1]; the labels have the rest
 * @param topK of the teacher's vocabulary the likeliest that count at each position; at least 1
 */
public record DistillConfig(
        @JsonProperty("teacher")
                @JsonPropertyDescription(
                        "The larger model, a folder or a .gguf file: its tokenizer must be that of the trained model, or"
                                + " the one it was cut from. null trains on the labels alone.")
                @Nullable String teacher,
        @JsonProperty("temperature")
                @JsonPropertyDescription("Divides the logits of both before they are compared.")
                double temperature,
        @JsonProperty("weight")
                @JsonPropertyDescription(
                        "The teacher's share of the loss; the labels have the rest.")
                double weight,
        @JsonProperty("top_k")
                @JsonPropertyDescription(
                        "The teacher's likeliest tokens that count, their probabilities made to sum to 1.")
                int topK) {
    /** No teacher. */
    public static final DistillConfig DEFAULT = new DistillConfig(null, 1, 0.9, 32);

    public DistillConfig {
        require(
                teacher == null || !teacher.isBlank(),
                "distill.teacher must name a model, got only blanks");
        require(
                temperature > 0 && Double.isFinite(temperature),
                "distill.temperature must be above 0, got %s",
                temperature);
        require(
                weight > 0 && weight <= 1,
                "distill.weight must be above 0 and at most 1, got %s",
                weight);
        require(topK >= 1, "distill.top_k must be at least 1, got %d", topK);
    }
}
