package org.qlora4j.plan;

import org.jspecify.annotations.Nullable;
import org.qlora4j.config.Preset;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.TrainConfig;

/** What is said of the number of steps of a run. */
public final class RunLength {
    /** Passes over the data beyond which a run learns its examples by heart. */
    private static final int MANY_PASSES = 30;

    private RunLength() {}

    /**
     * A line about the steps that follow from the size of the data. The paper's number of them has
     * one too, where it means many passes over few examples. Null where there is nothing to say.
     */
    public static @Nullable String notice(RunConfig config, TrainingData data) {
        TrainConfig train = config.train();
        int stepsPerEpoch = data.sampler(config).stepsPerEpoch();
        int steps = train.totalSteps(stepsPerEpoch);
        int examples = data.train().lengths().length;
        if (train.stepsFollowData()) {
            return "%d steps follow from the size of the data, about %d %s over %d examples; train.max_steps or train.num_train_epochs sets another number, --preset paper %d"
                    .formatted(
                            steps,
                            Math.round((double) steps / stepsPerEpoch),
                            steps < 1.5 * stepsPerEpoch ? "pass" : "passes",
                            examples,
                            Preset.PAPER_STEPS);
        }
        if (!Integer.valueOf(Preset.PAPER_STEPS).equals(train.maxSteps())
                || (long) stepsPerEpoch * MANY_PASSES > steps) {
            return null;
        }
        return "train.max_steps is %d, the paper's, which are %d passes over these %d examples; train.max_steps=null lets their number decide"
                .formatted(steps, steps / stepsPerEpoch, examples);
    }
}
