package org.qlora4j.train;

import java.nio.file.Path;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.config.EvalConfig;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.TrainConfig;
import org.qlora4j.data.BatchSampler;
import org.qlora4j.data.StepPlan;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Task;
import org.qlora4j.optim.AdamW;
import org.qlora4j.optim.LearningRate;
import org.qlora4j.optim.TrainableParameters;
import org.qlora4j.plan.MemoryPlan;
import org.qlora4j.plan.TrainingData;
import org.qlora4j.run.BestEval;
import org.qlora4j.run.EvalMetrics;
import org.qlora4j.run.MetricsFile;
import org.qlora4j.run.RunCheckpoint;
import org.qlora4j.run.RunFolder;
import org.qlora4j.run.RunInfo;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.run.TaskMetrics;
import org.qlora4j.run.TrainResult;
import org.qlora4j.run.TrainerState;
import org.qlora4j.task.TaskSuite;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.world.World;

/**
 * The course of a run: try the longest micro-batch, then plan a step, add up gradients, change the
 * weights, report, evaluate, save. Use it once, in each process of the run. It owns nothing; what
 * it works on is {@link RunParts}'.
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
    private final World world;
    private final SampleAnswers samples;
    private final RunListener listener;
    private final BooleanSupplier cancelled;

    private final Placement place;
    private final @Nullable Pipeline pipeline;
    private final MetricsFile metrics;
    private final BatchSampler sampler;
    private final LongestBatch longest;
    private final MemoryPlan plan;
    private final @Nullable Evaluation evaluation;
    private final @Nullable TaskEvaluation tasks;
    private final int total;
    private TrainerState state;
    private @Nullable TrainerState saved;
    private @Nullable EvalMetrics lastEvaluation;

    /**
     * @param cancelled asked between micro-batches
     */
    TrainingLoop(
            RunConfig config,
            RunParts parts,
            SampleAnswers samples,
            RunListener listener,
            BooleanSupplier cancelled) {
        this.config = config;
        this.train = config.train();
        this.model = parts.model();
        this.data = parts.data();
        this.folder = parts.folder();
        this.learner = parts.learner();
        this.parameters = parts.parameters();
        this.optimizer = parts.optimizer();
        this.teacher = parts.teacher();
        this.world = parts.world();
        this.samples = samples;
        this.listener = listener;
        this.cancelled = cancelled;
        metrics = new MetricsFile(folder.metricsFile());
        sampler = data.sampler(config);
        place = Placement.of(world, train);
        pipeline = Pipeline.of(train, model, place);
        longest = LongestBatch.of(data, sampler, place.groups(), train.rowsAtOnce(place.groups()));
        plan = longest.plan(config, model, data);
        evaluation = Evaluation.of(config.eval(), model, data, place, pipeline);
        TaskSuite suite = parts.tasks();
        tasks = suite == null ? null : new TaskEvaluation(suite, model, parts.inputs().tokenizer());
        total = train.totalSteps(sampler.stepsPerEpoch());
        state = parts.begin().withMaxSteps(total);
        saved = parts.begin().step() > 0 ? state : null;
    }

    /**
     * Trains to the end, until it gains no more, or until it is cancelled, and saves. All processes
     * take the same way through it: what one decides alone, such as to give a step up, it tells the
     * others.
     */
    TrainResult run() {
        TrainerState first = state;
        LearningRate schedule = learningRate();
        TrainingStep step =
                new TrainingStep(
                        train,
                        model,
                        data,
                        parameters,
                        optimizer,
                        teacher,
                        place,
                        pipeline,
                        cancelled);
        if (world.isFirst()) {
            metrics.keepUpTo(state);
            samples.keepUpTo(state.step());
        }
        listener.started(info());
        if (pipeline != null) {
            listener.notice(place.notice(model.shape(), pipeline.rows()));
        }
        if (state.step() < total && !place.ends(cancelled)) {
            StepPlan next = sampler.stepAt(state.step());
            if (pipeline != null
                    || !longest.comesFirst(next.share(place.group(), place.groups()), data)) {
                step.tryOut(longest.rows());
            }
        }
        if (state.step() == 0 && world.isFirst()) {
            samples.askBase();
        }

        long began = System.nanoTime();
        double firstLoss = Double.NaN;
        double lastLoss = Double.NaN;
        boolean givenUp = false;
        evaluateIfDue(); // before the first step, or where a run was cancelled while it evaluated
        while (state.step() < total && !stopsEarly()) {
            Engine.letOthersIn();
            long stepBegan = System.nanoTime();
            StepPlan plan = sampler.stepAt(state.step());
            TrainingStep.Window window = step.accumulate(plan);
            if (window == null) {
                givenUp = true;
                break;
            }
            FiniteCheck.require(window, state.step() + 1, folder);
            double learningRate = schedule.after(state.step());
            step.apply(learningRate);

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
            report(done);
            firstLoss = Double.isNaN(firstLoss) ? done.loss() : firstLoss;
            lastLoss = done.loss();
            evaluateIfDue();
            if (state.step() < total && world.isFirst()) { // at the end beside the base model's
                samples.giveIfDue(state.step());
            }
            if (train.saves(state.step()) || isBestToKeep()) {
                save();
            }
        }
        if (state != saved && state.step() > 0) {
            save();
        }
        return new TrainResult(
                world.isFirst() ? outcome() : null,
                state.step(),
                firstLoss,
                lastLoss,
                lastEvaluation,
                state.best(),
                stopsEarly() && state.step() < total,
                givenUp,
                (System.nanoTime() - began) / 1e9,
                state.tokensSeen() - first.tokensSeen(),
                plan,
                NativeMemory.peakBytes());
    }

    private RunInfo info() {
        return new RunInfo(
                state.step(),
                total,
                data.train().lengths().length,
                data.eval() == null ? 0 : data.eval().lengths().length,
                model.parameterCount(),
                model.byteSize(),
                learner.count(),
                Kernels.current().name(),
                model.shape().architecture().task() instanceof Task.Classify,
                world.size(),
                world.bytesToSum(parameters.gradients().byteSize()));
    }

    private LearningRate learningRate() {
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

    private void report(StepMetrics done) {
        boolean logged = train.logs(done.step(), done.totalSteps());
        state = state.after(done, logged);
        if (logged && world.isFirst()) {
            metrics.append(done);
        }
        listener.stepDone(done);
    }

    private void evaluateIfDue() {
        EvalConfig eval = config.eval();
        boolean due =
                eval.isDue(state.step(), total, sampler.stepsPerEpoch(), train.loggingSteps());
        if (!due || state.isEvaluated()) {
            return;
        }
        if (tasks != null && !askTasks(tasks)) {
            return; // before held-out data: a state that was evaluated on that is done
        }
        if (evaluation == null) {
            return;
        }
        EvalMetrics measured = evaluation.measure(state.step(), state.epoch(), cancelled);
        if (measured == null) {
            return;
        }
        Map<String, Double> answered =
                world.isFirst() ? samples.scores(state.step()) : Map.<String, Double>of();
        if (world.any(answered == null) || answered == null) {
            return;
        }
        measured = measured.withScores(answered);
        double deciding =
                world.fromFirst(
                        world.isFirst() ? measured.value(eval.metricForBestModel()) : Double.NaN);
        BestEval best =
                BestEval.after(
                        state.best(),
                        deciding,
                        state.step(),
                        eval.metricForBestModel().isGreaterBetter(),
                        eval.earlyStoppingThreshold());
        state = state.after(measured, best);
        lastEvaluation = measured.withBest(best.step() == state.step());
        if (world.isFirst()) {
            metrics.append(measured);
        }
        listener.evaluated(lastEvaluation);
    }

    /** Process 0 asks, the others wait; false if the run was cancelled meanwhile. */
    private boolean askTasks(TaskEvaluation asked) {
        TaskMetrics answers =
                world.isFirst() ? asked.measure(state.step(), state.epoch(), cancelled) : null;
        if (world.any(world.isFirst() && answers == null)) {
            return false;
        }
        if (answers != null) {
            metrics.append(answers);
            listener.tasksAsked(answers);
        }
        return true;
    }

    private boolean stopsEarly() {
        BestEval best = state.best();
        return best != null && best.exhausts(config.eval().earlyStoppingPatience());
    }

    /**
     * Whether these weights were just found to be the best, and the run is to end with the best.
     */
    private boolean isBestToKeep() {
        BestEval best = state.best();
        return config.eval().loadBestModelAtEnd() && best != null && best.step() == state.step();
    }

    /** Process 0 writes; the others, which have the same weights, go on. */
    private void save() {
        FiniteCheck.require(parameters, state.step(), folder);
        saved = state;
        if (!world.isFirst()) {
            return;
        }
        Path target = folder.checkpoint(state.step());
        RunCheckpoint.save(
                target,
                state,
                building -> {
                    learner.save(building, state);
                    if (data.promptTemplate() != null) {
                        AtomicFiles.writeText(
                                building.resolve("chat_template.jinja"), data.promptTemplate());
                    }
                    optimizer.save(building.resolve(RunCheckpoint.OPTIMIZER_FILE));
                });
        folder.keepNewest(train.saveTotalLimit(), state.step(), state.best());
        listener.checkpointSaved(target);
    }

    /** The checkpoint that the run ends with: the newest, or the best if it is to be that. */
    private @Nullable Path outcome() {
        if (saved == null) {
            return null;
        }
        BestEval best = state.best();
        boolean endsWithBest = config.eval().loadBestModelAtEnd() && !cancelled.getAsBoolean();
        if (endsWithBest && best != null && best.step() > 0) {
            if (RunCheckpoint.ifWhole(folder.checkpoint(best.step())).isPresent()) {
                return folder.checkpoint(best.step());
            }
            listener.notice(
                    "the best checkpoint, %s, is gone or damaged; the run ends with the newest"
                            .formatted(folder.checkpoint(best.step())));
        }
        return folder.checkpoint(saved.step());
    }
}
