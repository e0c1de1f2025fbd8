package org.qlora4j.run;

import org.qlora4j.config.EvalMetric;

/**
 * One evaluation on the held-out examples, without dropout.
 *
 * @param step steps done before it
 * @param epoch passes over the training data before it
 * @param loss mean over the label tokens of all examples of -log p, in nats
 * @param examples held-out examples
 * @param labelTokens their tokens that count
 * @param isBest whether no evaluation of the run before was as good
 * @param seconds it took
 */
public record EvalMetrics(
        long step,
        double epoch,
        double loss,
        int examples,
        long labelTokens,
        boolean isBest,
        double seconds) {
    /** exp(loss): as uncertain as a choice among so many tokens. */
    public double perplexity() {
        return Math.exp(loss);
    }

    /** What a metric says of it. */
    public double value(EvalMetric metric) {
        return switch (metric) {
            case EVAL_LOSS -> loss;
            case EVAL_PERPLEXITY -> perplexity();
        };
    }

    public EvalMetrics withBest(boolean best) {
        return new EvalMetrics(step, epoch, loss, examples, labelTokens, best, seconds);
    }
}
