package org.qlora4j;

import org.jspecify.annotations.Nullable;
import org.qlora4j.generate.GenerationConfig;

/**
 * A prompt for a {@link TextService}.
 *
 * @param adapter name of the adapter that answers; null for the base model
 */
public record TextRequest(@Nullable String adapter, Prompt prompt, GenerationConfig config) {}
