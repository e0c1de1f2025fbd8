package org.qlora4j.train;

import java.nio.file.Path;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.qlora4j.data.BatchSampler;
import org.qlora4j.data.StepPlan;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.model.CausalModel;
import org.qlora4j.optim.AdamW;
import org.qlora4j.optim.LearningRate;
import org.qlora4j.optim.TrainableParameters;
import org.qlora4j.tensor.NativeMemory;

/**
 * The course of a run: plan a step, add up gradients, change the weights, report, save. It owns
 * nothing; what it works on is {@link TrainingRun}'s.
 */
final class TrainingLoop {
    private final RunConfig config;
    private final TrainConfig train;
    private final CausalModel model;
    private final TrainingData data;
    private final RunFolder folder;
    private final Learner learner;
    private final TrainableParameters parameters;
    private final AdamW optimizer;
    private final @Nullable Teacher teacher;
    private final RunListener listener;
    private final BooleanSupplier cancelled;

    TrainingLoop(
            RunConfig config,
            CausalModel model,
            TrainingData data,
            RunFolder folder,
            Learner learner,
            TrainableParameters parameters,
            AdamW optimizer,
            @Nullable Teacher teacher,
            RunListener listener,
            BooleanSupplier cancelled) {
        this.config = config;
        this.train = config.train();
        this.model = model;
        this.data = data;
        this.folder = folder;
        this.learner = learner;
        this.parameters = parameters;
        this.optimizer = optimizer;
        this.teacher = teacher;
        this.listener = listener;
        this.cancelled = cancelled;
    }

    /**
     * Trains to the end or until it is cancelled, and saves.
     *
     * @param start the checkpoint to go on from, whose weights are loaded; null for a new run
     */
    TrainResult run(@Nullable RunCheckpoint start) {
        BatchSampler sampler = data.sampler(config);
        int total = train.totalSteps(sampler.stepsPerEpoch());
        LearningRate schedule = learningRate(total);
        Update update = new Update(train, model, data, parameters, optimizer, teacher, cancelled);
        TrainerState state =
                start == null
                        ? TrainerState.atStart(data.set().fingerprint(), total)
                        : start.state().withMaxSteps(total);
        MetricsFile metrics = new MetricsFile(folder.metricsFile());
        metrics.keepUpTo(state.step());
        listener.started(info(state));

        long began = System.nanoTime();
        TrainerState first = state;
        double firstLoss = Double.NaN;
        double lastLoss = Double.NaN;
        long saved = start == null ? -1 : state.step();
        while (state.step() < total && !cancelled.getAsBoolean()) {
            long stepBegan = System.nanoTime();
            StepPlan plan = sampler.stepAt(state.step());
            Update.Window window = update.accumulate(plan);
            if (window == null) {
                break;
            }
            FiniteCheck.require(window, state.step() + 1, folder);
            double learningRate = schedule.after(state.step());
            update.apply(learningRate);

            long now = System.nanoTime();
            StepMetrics done =
                    new StepMetrics(
                            state.step() + 1,
                            total,
                            sampler.epochsAfter(plan),
                            window.loss(),
                            window.gradNorm(),
                            learningRate,
                            window.tokens(),
                            window.labelTokens(),
                            (now - stepBegan) / 1e9,
                            (now - began) / 1e9);
            boolean logged = train.logs(done);
            state = state.after(done, logged);
            firstLoss = Double.isNaN(firstLoss) ? done.loss() : firstLoss;
            lastLoss = done.loss();
            if (logged) {
                metrics.append(done);
            }
            listener.stepDone(done);
            if (train.saveSteps() > 0 && state.step() % train.saveSteps() == 0) {
                saved = save(state);
            }
        }
        if (saved != state.step() && state.step() > first.step()) {
            saved = save(state);
        }
        return new TrainResult(
                saved < 0 ? null : folder.checkpoint(saved),
                state.step(),
                firstLoss,
                lastLoss,
                cancelled.getAsBoolean() && state.step() < total,
                (System.nanoTime() - began) / 1e9,
                state.tokensSeen() - first.tokensSeen(),
                NativeMemory.peakBytes());
    }

    private RunInfo info(TrainerState state) {
        return new RunInfo(
                state.step(),
                state.maxSteps(),
                data.set().examples().size(),
                model.parameterCount(),
                model.byteSize(),
                learner.count(),
                Kernels.current().name());
    }

    private LearningRate learningRate(int total) {
        double base = train.learningRateFor(model.parameterCount());
        if (train.learningRate() == null && base != train.learningRateFor(0)) {
            listener.notice("learning rate %s, the paper's for models above 13B".formatted(base));
        }
        return new LearningRate(
                train.lrSchedulerType(),
                train.lrSchedulerKwargs(),
                base,
                train.warmupStepsOf(total),
                total);
    }

    /** Saves a checkpoint, and returns its step. */
    private long save(TrainerState state) {
        FiniteCheck.require(parameters, state.step(), folder);
        Path target = folder.checkpoint(state.step());
        RunCheckpoint.save(target, state, learner, optimizer);
        folder.keepNewest(train.saveTotalLimit(), state.step());
        listener.checkpointSaved(target);
        return state.step();
    }
}
