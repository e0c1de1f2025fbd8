package org.qlora4j.train;

import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;
import org.qlora4j.model.CausalModel;
import org.qlora4j.optim.AdamW;
import org.qlora4j.optim.TrainableParameters;
import org.qlora4j.plan.RunInputs;
import org.qlora4j.plan.TrainingData;
import org.qlora4j.run.RunFolder;
import org.qlora4j.run.RunLock;
import org.qlora4j.run.TrainerState;
import org.qlora4j.task.TaskSuite;
import org.qlora4j.world.World;

/**
 * What a run works on, in one process. Each part rests on those before it, so they are closed from
 * the last to the first.
 *
 * @param tasks that are asked at evaluations, or null
 * @param begin how far the run has come; what learns and the optimizer are those of then
 * @param teacher whose logits are learnt, or null
 * @param folder written by process 0 alone
 * @param lock on the folder of a new run; null for a run that goes on, which holds its own, and in
 *     all processes but the first
 * @param world the processes of the run; stays the caller's
 */
record RunParts(
        RunInputs inputs,
        @Nullable TaskSuite tasks,
        CausalModel model,
        TrainerState begin,
        Learner learner,
        TrainableParameters parameters,
        @Nullable Teacher teacher,
        RunFolder folder,
        @Nullable RunLock lock,
        AdamW optimizer,
        World world)
        implements AutoCloseable {
    TrainingData data() {
        return inputs.data();
    }

    @Override
    public void close() {
        try (inputs;
                model;
                learner;
                parameters;
                teacher;
                lock;
                optimizer) {
            // from the last to the first, though closing one of them fails
        }
    }

    /** Parts made so far, to be closed if the next one cannot be made. */
    static final class Made {
        private final Deque<AutoCloseable> newestFirst = new ArrayDeque<>();

        <T extends AutoCloseable> T add(T part) {
            newestFirst.push(part);
            return part;
        }

        <T extends AutoCloseable> @Nullable T addIfAny(@Nullable T part) {
            return part == null ? null : add(part);
        }

        /** Closes all of them; what fails meanwhile is told with the reason. */
        void undo(Throwable reason) {
            for (AutoCloseable part : newestFirst) {
                try {
                    part.close();
                } catch (Exception e) {
                    reason.addSuppressed(e);
                }
            }
        }
    }
}
