package org.qlora4j.run;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.qlora4j.plan.MemoryPlan;

/**
 * The end of a run.
 *
 * @param adapter folder of the newest checkpoint, or of the best with {@code
 *     load_best_model_at_end}: an adapter in PEFT's layout, or with {@code full_finetune} a whole
 *     model; null if the run was cancelled before its first step
 * @param steps steps done, those before a resume included
 * @param firstLoss loss of the first step of this process, NaN if there was none
 * @param lastLoss loss of its last step, NaN if there was none
 * @param evaluation the last one of this process; null if there was none
 * @param best the best evaluation of the run, those before a resume included; null if there was
 *     none
 * @param stoppedEarly whether it ended because evaluations no longer gained
 * @param cancelled whether it ended early because {@code TrainingRun.cancel} was called
 * @param seconds time of training and saving
 * @param tokens tokens trained on by this process, without padding
 * @param plan what its tensors were to take, by the longest rows of its data
 * @param peakNativeBytes most bytes that tensors held at once, those of loading the model too
 */
public record TrainResult(
        @Nullable Path adapter,
        long steps,
        double firstLoss,
        double lastLoss,
        @Nullable EvalMetrics evaluation,
        @Nullable BestEval best,
        boolean stoppedEarly,
        boolean cancelled,
        double seconds,
        long tokens,
        MemoryPlan plan,
        long peakNativeBytes) {}
