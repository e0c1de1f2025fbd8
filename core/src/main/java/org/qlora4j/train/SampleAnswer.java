package org.qlora4j.train;

/**
 * What the model says to a prompt, each token the likeliest.
 *
 * @param base without the adapter
 * @param finetuned with it
 */
public record SampleAnswer(String prompt, String base, String finetuned) {}
