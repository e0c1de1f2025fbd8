package org.qlora4j.run;

import java.util.LinkedHashMap;
import java.util.Map;
import org.qlora4j.config.EvalMetric;

/**
 * One evaluation on the held-out examples, without dropout.
 *
 * @param step steps done before it
 * @param epoch passes over the training data before it
 * @param loss mean over the label tokens of all examples of -log p, in nats
 * @param examples held-out examples
 * @param labelTokens their tokens that count
 * @param scores further figures of what the model said, by name such as {@code accuracy}; empty if
 *     it was not asked
 * @param isBest whether no evaluation of the run before was as good
 * @param seconds it took
 */
public record EvalMetrics(
        long step,
        double epoch,
        double loss,
        int examples,
        long labelTokens,
        Map<String, Double> scores,
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
            default -> scores.getOrDefault(metric.score(), Double.NaN);
        };
    }

    /** The same with more figures. */
    public EvalMetrics withScores(Map<String, Double> more) {
        Map<String, Double> all = new LinkedHashMap<>(scores);
        all.putAll(more);
        return new EvalMetrics(step, epoch, loss, examples, labelTokens, all, isBest, seconds);
    }

    public EvalMetrics withBest(boolean best) {
        return new EvalMetrics(step, epoch, loss, examples, labelTokens, scores, best, seconds);
    }
}
