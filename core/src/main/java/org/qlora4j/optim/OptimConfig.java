package org.qlora4j.optim;

import static org.qlora4j.error.Require.require;

/**
 * Which optimizer, and its constants; the learning rate comes with each step. Part of section
 * {@code train} of the settings, whose keys the messages name.
 *
 * @param type the optimizer
 * @param beta1 decay of the mean of gradients, in [0, 1)
 * @param beta2 decay of the mean of squared gradients, in [0, 1)
 * @param epsilon added to the root of the second mean; above 0
 * @param weightDecay share of the learning rate by which weights shrink each step; at least 0
 */
public record OptimConfig(
        OptimType type, double beta1, double beta2, double epsilon, double weightDecay) {
    /** qlora.py's. */
    public static final OptimConfig DEFAULT =
            new OptimConfig(OptimType.PAGED_ADAMW_32BIT, 0.9, 0.999, 1e-8, 0);

    public OptimConfig {
        require(beta1 >= 0 && beta1 < 1, "train.adam_beta1 must be in [0, 1), got %s", beta1);
        require(beta2 >= 0 && beta2 < 1, "train.adam_beta2 must be in [0, 1), got %s", beta2);
        require(
                epsilon > 0 && Double.isFinite(epsilon),
                "train.adam_epsilon must be above 0, got %s",
                epsilon);
        require(
                weightDecay >= 0 && Double.isFinite(weightDecay),
                "train.weight_decay must be at least 0, got %s",
                weightDecay);
    }
}
