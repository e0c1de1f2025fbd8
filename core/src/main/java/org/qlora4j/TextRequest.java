package org.qlora4j;

import static org.qlora4j.error.Require.given;

import org.jspecify.annotations.Nullable;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.grammar.JsonGrammar;

/**
 * A prompt for a {@link TextService}.
 *
 * @param adapter name of the adapter that answers; null for the base model
 * @param grammar the form that the answer has; null for any
 */
public record TextRequest(
        @Nullable String adapter,
        Prompt prompt,
        GenerationConfig config,
        @Nullable JsonGrammar grammar) {
    public TextRequest {
        given(prompt, "prompt");
        given(config, "config");
    }

    /** A request for an answer of any form. */
    public TextRequest(@Nullable String adapter, Prompt prompt, GenerationConfig config) {
        this(adapter, prompt, config, null);
    }
}
