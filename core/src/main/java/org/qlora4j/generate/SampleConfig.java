package org.qlora4j.generate;

import static org.qlora4j.error.Require.require;

import org.jspecify.annotations.Nullable;

/**
 * Conversations to be written by a model alone.
 *
 * @param conversations how many to keep, at least 1
 * @param turns messages of the user in each, at least 1
 * @param batch texts at once, at least 1
 * @param system a system message that begins every conversation, or null for what the chat template
 *     has by itself
 * @param withoutSystem whether user messages are written without the template's own system message;
 *     answers always follow the template
 * @param generation how messages are drawn; one that reaches {@code maxNewTokens} is dropped
 */
public record SampleConfig(
        int conversations,
        int turns,
        int batch,
        @Nullable String system,
        boolean withoutSystem,
        GenerationConfig generation) {
    /** A temperature at which messages differ; 32 texts at once keep two cores busy. */
    public static final SampleConfig DEFAULT =
            new SampleConfig(100, 1, 32, null, false, GenerationConfig.DEFAULT.sampling(0.9, 1, 1));

    public SampleConfig {
        require(conversations >= 1, "conversations must be at least 1, got %d", conversations);
        require(turns >= 1, "turns must be at least 1, got %d", turns);
        require(batch >= 1, "batch must be at least 1, got %d", batch);
        require(
                system == null || !withoutSystem,
                "a system message cannot be given and left out; use one of them");
        require(
                generation.doSample(),
                "conversations are drawn: the likeliest message is the same every time");
    }
}
