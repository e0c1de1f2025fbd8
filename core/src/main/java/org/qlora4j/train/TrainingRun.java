package org.qlora4j.train;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.qlora4j.data.Batch;
import org.qlora4j.data.BatchSampler;
import org.qlora4j.data.StepPlan;
import org.qlora4j.error.ConfigException;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Models;
import org.qlora4j.optim.AdamW;
import org.qlora4j.optim.LearningRate;
import org.qlora4j.optim.TrainableParameters;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tokenize.Tokenizer;

/**
 * One finetuning run, from settings to an adapter on disk (QLoRA, arXiv 2305.14314). Use it once.
 */
public final class TrainingRun {
    private final RunConfig config;
    private final boolean resume;
    private final RunListener listener;
    private volatile boolean cancelled;

    /**
     * @param resume go on from the newest whole checkpoint in {@code train.output_dir}
     */
    public TrainingRun(RunConfig config, boolean resume, RunListener listener) {
        this.config = config;
        this.resume = resume;
        this.listener = listener;
    }

    /** Asks the run to save and end, from any thread; a step that is not finished is given up. */
    public void cancel() {
        cancelled = true;
    }

    /** Trains to the end, or until it is cancelled, on the engine thread. */
    public TrainResult run() {
        return Engine.call(this::runOnEngine);
    }

    private TrainResult runOnEngine() {
        if (config.train().threads() > 0) {
            Engine.setThreads(config.train().threads());
        }
        Kernels.select(config.model().device());
        Path path = Path.of(config.model().modelNameOrPath());
        DType compute = config.quantization().computeDtype().onThisMachine();
        RunFolder old = resume ? RunFolder.reopen(config.train().outputPath()) : null;
        if (old == null) { // the model may take minutes to load
            RunFolder.requireFree(config.train().outputPath());
        }
        try (Tokenizer tokenizer = Tokenizer.load(Models.folder(path));
                CausalModel model = Models.load(path, config.quantization(), compute)) {
            TrainingData data =
                    TrainingData.load(
                            config.data(),
                            tokenizer,
                            model.eosIds(),
                            model.vocabularySize(),
                            model.maxPositions());
            data.set().stats().report(config.data()).forEach(listener::notice);
            RunCheckpoint start = old == null ? null : checkpoint(old, data);
            try (LoraAdapter adapter = adapter(model, start, compute);
                    TrainableParameters parameters =
                            new TrainableParameters(adapter.parameters(), p -> true)) {
                RunFolder folder = folder(old); // only now: bad input leaves nothing behind
                try (AdamW optimizer = optimizer(old == null, folder, start, parameters)) {
                    TrainResult result =
                            train(model, data, folder, start, adapter, parameters, optimizer);
                    if (!result.cancelled()) {
                        SampleAnswers.give(
                                config.train(),
                                model,
                                tokenizer,
                                adapter,
                                listener,
                                () -> cancelled);
                    }
                    listener.finished(result);
                    return result;
                }
            }
        }
    }

    private @Nullable RunCheckpoint checkpoint(RunFolder old, TrainingData data) {
        RunCheckpoint newest =
                ResumeCheck.newest(old, config, data.set().fingerprint()).orElse(null);
        if (newest == null) {
            listener.notice("the run has no checkpoint yet, so it begins with step 1");
        }
        return newest;
    }

    /** The folder of this run, with the settings as they are now. */
    private RunFolder folder(@Nullable RunFolder old) {
        if (old == null) {
            return RunFolder.create(config.train().outputPath(), config);
        }
        RunConfigWriter.write(config, old.configFile());
        return old;
    }

    private AdamW optimizer(
            boolean isNew,
            RunFolder folder,
            @Nullable RunCheckpoint start,
            TrainableParameters parameters) {
        AdamW optimizer;
        try {
            optimizer = new AdamW(parameters, config.train().optimizer(), folder.path());
        } catch (RuntimeException e) {
            if (isNew) {
                folder.abandon();
            }
            throw e;
        }
        try {
            if (start != null) {
                optimizer.load(start.optimizerFile());
            }
            return optimizer;
        } catch (RuntimeException e) {
            optimizer.close();
            throw e;
        }
    }

    private LoraAdapter adapter(CausalModel model, @Nullable RunCheckpoint start, DType compute) {
        return start == null
                ? LoraAdapter.create(config.lora(), model.linears(), compute, config.train().seed())
                : PeftAdapter.load(start.folder(), model.linears(), compute, true);
    }

    /**
     * The loop: each step a window of micro-batches, one update, perhaps a log line and a
     * checkpoint.
     */
    private TrainResult train(
            CausalModel model,
            TrainingData data,
            RunFolder folder,
            @Nullable RunCheckpoint start,
            LoraAdapter adapter,
            TrainableParameters parameters,
            AdamW optimizer) {
        TrainConfig train = config.train();
        BatchSampler sampler = data.sampler(config);
        int total = totalSteps(train, sampler.stepsPerEpoch());
        LearningRate schedule = learningRate(model, total);
        TrainerState state =
                start == null
                        ? TrainerState.atStart(data.set().fingerprint(), total)
                        : start.state().withMaxSteps(total);
        MetricsFile metrics = new MetricsFile(folder.metricsFile());
        metrics.keepUpTo(state.step());
        listener.started(
                new RunInfo(
                        state.step(),
                        total,
                        data.set().examples().size(),
                        model.parameterCount(),
                        model.byteSize(),
                        adapter.parameterCount(),
                        Kernels.current().name()));

        long began = System.nanoTime();
        long firstStep = state.step();
        long tokensBefore = state.tokensSeen();
        double firstLoss = Double.NaN;
        double lastLoss = Double.NaN;
        long saved = start == null ? -1 : state.step();
        while (state.step() < total && !cancelled) {
            long stepBegan = System.nanoTime();
            StepPlan plan = sampler.stepAt(state.step());
            double learningRate = schedule.after(state.step());
            Window window = accumulate(model, data, plan);
            if (window == null) {
                break;
            }
            double gradNorm = parameters.divideAndClip(window.labelTokens, train.maxGradNorm());
            double loss = window.lossSum / window.labelTokens;
            requireFinite(loss, gradNorm, state.step() + 1, folder);
            optimizer.step(learningRate);
            parameters.refresh();
            parameters.zeroGradients();

            long now = System.nanoTime();
            StepMetrics done =
                    new StepMetrics(
                            state.step() + 1,
                            total,
                            plan.epoch()
                                    + (plan.firstBatch() + plan.batches().size())
                                            / (double) sampler.batchesPerEpoch(),
                            loss,
                            gradNorm,
                            learningRate,
                            window.tokens,
                            window.labelTokens,
                            (now - stepBegan) / 1e9,
                            (now - began) / 1e9);
            boolean logged =
                    done.step() % train.loggingSteps() == 0
                            || done.step() == total
                            || done.step() == 1;
            state = state.after(done, logged);
            firstLoss = Double.isNaN(firstLoss) ? loss : firstLoss;
            lastLoss = loss;
            if (logged) {
                metrics.append(done);
            }
            listener.stepDone(done);
            if (train.saveSteps() > 0 && state.step() % train.saveSteps() == 0) {
                requireFinite(parameters, state.step(), folder);
                saved = save(folder, state, adapter, optimizer);
            }
        }
        if (saved != state.step() && state.step() > firstStep) {
            requireFinite(parameters, state.step(), folder);
            saved = save(folder, state, adapter, optimizer);
        }
        return new TrainResult(
                saved < 0 ? null : folder.checkpoint(saved),
                state.step(),
                firstLoss,
                lastLoss,
                cancelled && state.step() < total,
                (System.nanoTime() - began) / 1e9,
                state.tokensSeen() - tokensBefore,
                NativeMemory.peakBytes());
    }

    /** Sums over one window of micro-batches. */
    private record Window(double lossSum, long labelTokens, long tokens) {}

    /** Adds up the gradients of a step's micro-batches; null if the run was cancelled meanwhile. */
    private @Nullable Window accumulate(CausalModel model, TrainingData data, StepPlan plan) {
        double lossSum = 0;
        long labelTokens = 0;
        long tokens = 0;
        for (int i = 0; i < plan.batches().size(); i++) {
            if (cancelled) {
                return null;
            }
            Batch batch = data.set().batch(plan.batches().get(i), data.padId(), 1);
            long dropoutKey = DropoutKey.of(config.train().seed(), plan.step(), i);
            lossSum +=
                    MicroBatch.backward(
                            model, batch, config.train().gradientCheckpointing(), dropoutKey);
            labelTokens += batch.labelTokens();
            tokens += batch.realTokens();
        }
        return new Window(lossSum, labelTokens, tokens);
    }

    private long save(RunFolder folder, TrainerState state, LoraAdapter adapter, AdamW optimizer) {
        Path target = folder.checkpoint(state.step());
        RunCheckpoint.save(target, state, adapter, optimizer, config.model().modelNameOrPath());
        folder.keepNewest(config.train().saveTotalLimit(), state.step());
        listener.checkpointSaved(target);
        return state.step();
    }

    private static void requireFinite(double loss, double gradNorm, long step, RunFolder folder) {
        if (Double.isFinite(loss) && Double.isFinite(gradNorm)) {
            return;
        }
        throw ConfigException.of(
                "step %d: loss %s with gradient norm %s; lower train.learning_rate, or look at the data of this step;"
                        + " %s",
                step, loss, gradNorm, lastGood(folder));
    }

    private static void requireFinite(TrainableParameters weights, long step, RunFolder folder) {
        if (!weights.allFinite()) {
            throw ConfigException.of(
                    "step %d: a weight of the adapter is no finite number any more; lower train.learning_rate; %s",
                    step, lastGood(folder));
        }
    }

    private static String lastGood(RunFolder folder) {
        return folder.newestWhole()
                .map(c -> "the last good checkpoint is " + c.folder())
                .orElse("no checkpoint was saved before");
    }

    static int totalSteps(TrainConfig train, int stepsPerEpoch) {
        Integer maxSteps = train.maxSteps();
        if (maxSteps != null) {
            return maxSteps;
        }
        Double epochs = train.numTrainEpochs();
        if (epochs == null) {
            throw new IllegalStateException(
                    "the settings have neither max_steps nor num_train_epochs");
        }
        return (int) Math.max(1, Math.ceil(epochs * stepsPerEpoch));
    }

    private LearningRate learningRate(CausalModel model, int total) {
        TrainConfig train = config.train();
        double base = train.learningRateFor(model.parameterCount());
        if (train.learningRate() == null && base != train.learningRateFor(0)) {
            listener.notice("learning rate %s, the paper's for models above 13B".formatted(base));
        }
        return new LearningRate(train.lrSchedulerType(), base, train.warmupStepsOf(total), total);
    }
}
