package org.qlora4j.plan;

import org.jspecify.annotations.Nullable;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.TrainConfig;

/** Whether the steps of a run suit its data. */
public final class RunLength {
    /** Passes over the data beyond which a run learns its examples by heart. */
    private static final int MANY_PASSES = 20;

    /** Passes over small data that others recommend (Stanford Alpaca). */
    private static final int USUAL_PASSES = 3;

    private RunLength() {}

    /**
     * A line for users with few examples who left the number of steps to the paper's default. Null
     * where there is nothing to say.
     */
    public static @Nullable String notice(RunConfig config, TrainingData data) {
        Integer steps = config.train().maxSteps();
        int stepsPerEpoch = data.sampler(config).stepsPerEpoch();
        if (steps == null
                || !steps.equals(TrainConfig.DEFAULT.maxSteps())
                || (long) stepsPerEpoch * MANY_PASSES > steps) {
            return null;
        }
        return "train.max_steps is %d, the default, which are %d passes over these %d examples; train.num_train_epochs=%d makes %d steps"
                .formatted(
                        steps,
                        steps / stepsPerEpoch,
                        data.set().examples().size(),
                        USUAL_PASSES,
                        USUAL_PASSES * stepsPerEpoch);
    }
}
