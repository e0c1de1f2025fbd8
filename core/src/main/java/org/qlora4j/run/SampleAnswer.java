package org.qlora4j.run;

import org.jspecify.annotations.Nullable;

/**
 * What the model says to a sample prompt.
 *
 * @param step steps done before
 * @param base what the model said before the run; null while the run goes on
 * @param finetuned what it says now
 */
public record SampleAnswer(long step, String prompt, @Nullable String base, String finetuned) {}
