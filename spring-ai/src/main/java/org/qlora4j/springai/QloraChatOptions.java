package org.qlora4j.springai;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.model.tool.DefaultToolCallingChatOptions;
import org.springframework.ai.model.tool.StructuredOutputChatOptions;
import org.springframework.ai.tool.ToolCallback;

/**
 * Spring AI's options, and those that it has no names for. {@code model} names an adapter that the
 * service has loaded, or {@code base}. Temperature 0 takes the likeliest token, as no temperature
 * does. Without {@code maxTokens} an answer is as long as there is room.
 */
public final class QloraChatOptions extends DefaultToolCallingChatOptions
        implements StructuredOutputChatOptions {
    private final @Nullable Long seed;
    private final @Nullable Double minP;
    private final @Nullable Double repetitionPenalty;
    private final @Nullable ToolChoice toolChoice;
    private final @Nullable String outputSchema;

    /** When an answer calls a tool. */
    public enum ToolChoice {
        /** The model chooses. */
        AUTO,
        /** Every answer is a call, but for that to a tool's result, so that a loop ends. */
        REQUIRED,
        /** Tools are left out of the prompt. */
        NONE
    }

    private QloraChatOptions(
            ChatOptions common,
            @Nullable List<ToolCallback> toolCallbacks,
            @Nullable Map<String, Object> toolContext,
            Builder own) {
        super(
                toolCallbacks,
                toolContext,
                common.getModel(),
                common.getFrequencyPenalty(),
                common.getMaxTokens(),
                common.getPresencePenalty(),
                common.getStopSequences(),
                common.getTemperature(),
                common.getTopK(),
                common.getTopP());
        this.seed = own.seed;
        this.minP = own.minP;
        this.repetitionPenalty = own.repetitionPenalty;
        this.toolChoice = own.toolChoice;
        this.outputSchema = own.outputSchema;
    }

    /** No options; each is as the model's own. */
    public static Builder builder() {
        return new Builder();
    }

    /** Repeats answers that are drawn; without it each is another. */
    public @Nullable Long getSeed() {
        return seed;
    }

    /** Tokens less likely than this share of the likeliest are never drawn. */
    public @Nullable Double getMinP() {
        return minP;
    }

    /** Logits of tokens in prompt and answer are divided by it. */
    public @Nullable Double getRepetitionPenalty() {
        return repetitionPenalty;
    }

    public @Nullable ToolChoice getToolChoice() {
        return toolChoice;
    }

    /** JSON Schema that an answer keeps at every token. */
    @Override
    public @Nullable String getOutputSchema() {
        return outputSchema;
    }

    @Override
    public Builder mutate() {
        return builder()
                .model(getModel())
                .frequencyPenalty(getFrequencyPenalty())
                .maxTokens(getMaxTokens())
                .presencePenalty(getPresencePenalty())
                .stopSequences(getStopSequences())
                .temperature(getTemperature())
                .topK(getTopK())
                .topP(getTopP())
                .toolCallbacks(getToolCallbacks())
                .toolContext(getToolContext())
                .seed(seed)
                .minP(minP)
                .repetitionPenalty(repetitionPenalty)
                .toolChoice(toolChoice)
                .outputSchema(outputSchema);
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return this == other
                || other instanceof QloraChatOptions that
                        && super.equals(that)
                        && Objects.equals(seed, that.seed)
                        && Objects.equals(minP, that.minP)
                        && Objects.equals(repetitionPenalty, that.repetitionPenalty)
                        && toolChoice == that.toolChoice
                        && Objects.equals(outputSchema, that.outputSchema);
    }

    @Override
    public int hashCode() {
        return Objects.hash(
                super.hashCode(), seed, minP, repetitionPenalty, toolChoice, outputSchema);
    }

    /** Sets options one by one; null for none. */
    public static final class Builder extends DefaultToolCallingChatOptions.Builder<Builder>
            implements StructuredOutputChatOptions.Builder<Builder> {
        private @Nullable Long seed;
        private @Nullable Double minP;
        private @Nullable Double repetitionPenalty;
        private @Nullable ToolChoice toolChoice;
        private @Nullable String outputSchema;

        private Builder() {}

        public Builder seed(@Nullable Long value) {
            seed = value;
            return this;
        }

        public Builder minP(@Nullable Double value) {
            minP = value;
            return this;
        }

        public Builder repetitionPenalty(@Nullable Double value) {
            repetitionPenalty = value;
            return this;
        }

        public Builder toolChoice(@Nullable ToolChoice value) {
            toolChoice = value;
            return this;
        }

        @Override
        public Builder outputSchema(@Nullable String value) {
            outputSchema = value;
            return this;
        }

        /** What is set there goes before what is set here. */
        @Override
        public Builder combineWith(ChatOptions.Builder<?> other) {
            super.combineWith(other);
            if (other instanceof Builder that) {
                seed = that.seed == null ? seed : that.seed;
                minP = that.minP == null ? minP : that.minP;
                repetitionPenalty =
                        that.repetitionPenalty == null ? repetitionPenalty : that.repetitionPenalty;
                toolChoice = that.toolChoice == null ? toolChoice : that.toolChoice;
                outputSchema = that.outputSchema == null ? outputSchema : that.outputSchema;
            }
            return this;
        }

        @Override
        public QloraChatOptions build() {
            return new QloraChatOptions(super.build(), toolCallbacks, toolContext, this);
        }
    }
}
