package org.qlora4j;

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
    /** A request for an answer of any form. */
    public TextRequest(@Nullable String adapter, Prompt prompt, GenerationConfig config) {
        this(adapter, prompt, config, null);
    }
}
