package org.qlora4j.task;

/**
 * How likely a whole text is.
 *
 * @param logLikelihood sum of log p over its tokens, in nats
 * @param tokens that were predicted. A BOS that the tokenizer itself puts in front is one of them,
 *     as in lm-evaluation-harness.
 */
public record TextLikelihood(double logLikelihood, int tokens) {}
