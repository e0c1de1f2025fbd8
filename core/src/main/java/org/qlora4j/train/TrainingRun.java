package org.qlora4j.train;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Models;
import org.qlora4j.optim.AdamW;
import org.qlora4j.optim.TrainableParameters;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tokenize.Tokenizer;

/**
 * One finetuning run, from settings to an adapter (QLoRA, arXiv 2305.14314) or a whole model on
 * disk. Use it once.
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
        RunFolder old = resume ? RunFolder.reopen(config.train().outputPath()) : null;
        if (old == null) { // the model may take minutes to load
            RunFolder.requireFree(config.train().outputPath());
        }
        try (Tokenizer tokenizer = Tokenizer.load(Models.folder(path));
                CausalModel model = load(config, config.train().fullFinetune())) {
            TrainingData data =
                    TrainingData.load(
                            config.data(),
                            tokenizer,
                            model.eosIds(),
                            model.vocabularySize(),
                            model.maxPositions());
            data.set().report(config.data()).forEach(listener::notice);
            RunCheckpoint start = old == null ? null : checkpoint(old, data);
            try (Learner learner = Learner.create(config, model, start);
                    TrainableParameters parameters =
                            new TrainableParameters(learner.parameters(), learner::decays);
                    Teacher teacher = Teacher.load(config, tokenizer, data.set().examples())) {
                RunFolder folder = folder(old); // only now: bad input leaves nothing behind
                try (AdamW optimizer = optimizer(old == null, folder, start, parameters)) {
                    TrainResult result =
                            new TrainingLoop(
                                            config,
                                            model,
                                            data,
                                            folder,
                                            learner,
                                            parameters,
                                            optimizer,
                                            teacher,
                                            listener,
                                            () -> cancelled)
                                    .run(start);
                    if (!result.cancelled()) {
                        SampleAnswers.give(
                                config.train(),
                                model,
                                tokenizer,
                                learner,
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

    /** The base model of a run, its weights as the settings say. */
    static CausalModel load(RunConfig config, boolean trainable) {
        Path path = Path.of(config.model().modelNameOrPath());
        DType compute = config.quantization().computeDtype().onThisMachine();
        return switch (config.model().init()) {
            case CHECKPOINT -> Models.load(path, config.quantization(), compute, trainable);
            case RANDOM ->
                    Models.random(
                            Models.folder(path),
                            config.quantization(),
                            compute,
                            trainable,
                            config.train().seed());
        };
    }
}
