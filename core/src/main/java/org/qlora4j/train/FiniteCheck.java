package org.qlora4j.train;

import org.qlora4j.error.ConfigException;
import org.qlora4j.optim.TrainableParameters;
import org.qlora4j.run.RunFolder;

/** Ends a run whose numbers left the range, before a checkpoint holds them. */
final class FiniteCheck {
    private FiniteCheck() {}

    /** Before the optimizer sees the gradients. */
    static void require(TrainingStep.Window window, long step, RunFolder folder) {
        if (Double.isFinite(window.loss()) && Double.isFinite(window.gradNorm())) {
            return;
        }
        throw ConfigException.of(
                "step %d: loss %s with gradient norm %s; lower train.learning_rate, or look at the data of this step;"
                        + " %s",
                step, window.loss(), window.gradNorm(), lastGood(folder));
    }

    /** Before weights are saved. */
    static void require(TrainableParameters weights, long step, RunFolder folder) {
        if (!weights.allFinite()) {
            throw ConfigException.of(
                    "step %d: a weight that learns is no finite number any more; lower train.learning_rate; %s",
                    step, lastGood(folder));
        }
    }

    /** From where a run can go on, in words. */
    static String lastGood(RunFolder folder) {
        return folder.newestWhole()
                .map(c -> "the last good checkpoint is " + c.folder())
                .orElse("no checkpoint was saved before");
    }
}
