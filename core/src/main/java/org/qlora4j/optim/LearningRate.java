package org.qlora4j.optim;

/**
 * The learning rate of each step (transformers {@code optimization.py}).
 *
 * @param type its course
 * @param base the highest rate
 * @param warmup steps in which it rises from 0; without meaning for {@code constant}
 * @param total steps of the run
 */
public record LearningRate(LrSchedulerType type, double base, long warmup, long total) {
    /**
     * The rate of the step that follows {@code done} completed ones: the first step of a warm-up
     * has rate 0.
     */
    public double after(long done) {
        if (type == LrSchedulerType.CONSTANT) {
            return base;
        }
        if (done < warmup) {
            return base * done / Math.max(1, warmup);
        }
        double left = Math.max(0, total - done) / (double) Math.max(1, total - warmup);
        return switch (type) {
            case CONSTANT, CONSTANT_WITH_WARMUP -> base;
            case LINEAR -> base * left;
            case COSINE -> base * Math.max(0, 0.5 * (1 + Math.cos(Math.PI * (1 - left))));
        };
    }
}
