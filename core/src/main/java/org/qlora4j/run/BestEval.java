package org.qlora4j.run;

import org.jspecify.annotations.Nullable;

/**
 * The best evaluation of a run so far.
 *
 * @param value of the metric that decides
 * @param step at which it was measured
 * @param patienceUsed evaluations since one that was better than the best before it by more than
 *     the threshold (EarlyStoppingCallback of transformers)
 */
public record BestEval(double value, long step, int patienceUsed) {
    /**
     * The best after one more evaluation.
     *
     * @param before null for the first
     * @param greater whether more is better
     * @param threshold a gain up to this much counts as none for the patience
     */
    public static BestEval after(
            @Nullable BestEval before, double value, long step, boolean greater, double threshold) {
        if (before == null || Double.isNaN(before.value)) {
            return new BestEval(value, step, 0);
        }
        double gain = greater ? value - before.value : before.value - value;
        boolean better = gain > 0;
        boolean clearly = better && gain > threshold;
        return new BestEval(
                better ? value : before.value,
                better ? step : before.step,
                clearly ? 0 : before.patienceUsed + 1);
    }

    /**
     * Whether the patience is at its end.
     *
     * @param patience evaluations without a clear gain after which a run stops; 0 for none
     */
    public boolean exhausts(int patience) {
        return patience > 0 && patienceUsed >= patience;
    }
}
