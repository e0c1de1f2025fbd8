package org.qlora4j.kernel;

/**
 * The factors of one AdamW update, alike for all elements: {@code m = beta1 * m + (1 - beta1) * g},
 * {@code v = beta2 * v + (1 - beta2) * g²}, {@code p = keep * p + size * m / (root * sqrt(v) +
 * epsilon)}.
 *
 * @param beta1 decay of the mean of gradients
 * @param beta2 decay of the mean of squared gradients
 * @param keep what weight decay leaves of a weight: {@code 1 - rate * decay}
 * @param size the negative rate without the bias of the first mean: {@code -rate / (1 - beta1^t)}
 * @param root takes the bias off the root of the second: {@code 1 / sqrt(1 - beta2^t)}
 * @param epsilon added to the root
 */
public record AdamStep(
        double beta1, double beta2, double keep, double size, double root, double epsilon) {}
