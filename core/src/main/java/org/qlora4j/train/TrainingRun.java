package org.qlora4j.train;

import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigWriter;
import org.qlora4j.data.Records;
import org.qlora4j.error.DeviceException;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.family.Models;
import org.qlora4j.hub.Caches;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.lora.LoraInit;
import org.qlora4j.lora.PrincipalParts;
import org.qlora4j.model.CausalModel;
import org.qlora4j.optim.AdamW;
import org.qlora4j.optim.ParameterGroup;
import org.qlora4j.optim.TrainableParameters;
import org.qlora4j.plan.RunInputs;
import org.qlora4j.plan.RunLength;
import org.qlora4j.plan.TrainingData;
import org.qlora4j.run.Fingerprints;
import org.qlora4j.run.ResumeCheck;
import org.qlora4j.run.RunCheckpoint;
import org.qlora4j.run.RunFolder;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.RunLock;
import org.qlora4j.run.TrainResult;
import org.qlora4j.run.TrainerState;
import org.qlora4j.task.TaskSuite;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.world.Membership;
import org.qlora4j.world.World;

/**
 * One finetuning run, from settings to an adapter (QLoRA, arXiv 2305.14314) or a whole model on
 * disk. Use it once.
 */
public final class TrainingRun {
    private final RunConfig config;
    private final @Nullable Records records;
    private final boolean resume;
    private final Membership membership;
    private final RunListener listener;
    private volatile boolean cancelled;
    private volatile boolean hasBegun;

    /**
     * A run of this process alone.
     *
     * @param resume go on from the newest whole checkpoint in {@code train.output_dir}
     */
    public TrainingRun(RunConfig config, boolean resume, RunListener listener) {
        this(config, resume, listener, Membership.ALONE);
    }

    /**
     * A run of several processes, which all make it with the same settings.
     *
     * @param resume go on from the newest whole checkpoint in {@code train.output_dir}
     * @param listener told in process 0 alone
     * @param membership which of the processes this is
     */
    public TrainingRun(
            RunConfig config, boolean resume, RunListener listener, Membership membership) {
        this(config, null, resume, listener, membership);
    }

    /**
     * A run of several processes on files or records.
     *
     * @param records what is trained on in place of {@code data.dataset}, the same in each process;
     *     null for that
     * @param resume as above
     * @param listener as above
     * @param membership as above
     */
    public TrainingRun(
            RunConfig config,
            @Nullable Records records,
            boolean resume,
            RunListener listener,
            Membership membership) {
        this.config = config;
        this.records = records;
        this.resume = resume;
        this.listener = membership.rank() == 0 ? listener : RunListener.NONE;
        this.membership = membership;
    }

    /** Asks the run to save and end, from any thread; a step that is not finished is given up. */
    public void cancel() {
        cancelled = true;
    }

    /**
     * Whether all is loaded and the first step has begun, so that there may be something to save.
     */
    public boolean hasBegun() {
        return hasBegun;
    }

    /** Trains to the end, or until it is cancelled, on the engine thread. */
    public TrainResult run() {
        return Engine.callLong(this::runOnEngine);
    }

    private TrainResult runOnEngine() {
        int before = Engine.threads();
        int threads = threads(before);
        if (threads == 0) {
            return runWithThreads();
        }
        Engine.setThreads(threads);
        try {
            return runWithThreads();
        } finally {
            Engine.setThreads(before); // the next run shares out all of them again
        }
    }

    private TrainResult runWithThreads() {
        Kernels.select(config.model().device());
        try (World world = World.join(membership, config.train().silence())) {
            try {
                return run(world);
            } catch (RuntimeException | Error e) {
                if (world.isBroken()) {
                    throw lost(e);
                }
                world.fail(String.valueOf(e.getMessage()));
                throw e;
            }
        }
    }

    /** What to say where another process ended the run: also from where it can go on. */
    private RuntimeException lost(Throwable why) {
        Path folder = config.train().outputPath();
        String goOn =
                Files.isDirectory(folder) // other machines may not see it
                        ? "; " + FiniteCheck.lastGood(new RunFolder(folder))
                        : "";
        return new DeviceException(
                "%s%s; start all processes again, with --resume if there is a checkpoint"
                        .formatted(why.getMessage(), goOn),
                why);
    }

    /**
     * Threads to compute with; 0 for as many as there are.
     *
     * @param all those of this machine's processes together
     */
    private int threads(int all) {
        int set = config.train().threads();
        boolean decided = set > 0 || System.getenv("OMP_NUM_THREADS") != null;
        return decided || membership.localSize() == 1
                ? set
                : Math.max(1, all / membership.localSize());
    }

    private TrainResult run(World world) {
        Path folder = config.train().outputPath();
        if (!resume) {
            if (world.isFirst()) {
                RunFolder.requireFree(folder); // now, since the model may take minutes to load
            }
            return run(world, null);
        }
        RunFolder.requireRun(folder);
        try (RunLock lock = world.isFirst() ? RunLock.take(folder) : null) {
            RunFolder old = world.isFirst() ? RunFolder.reopen(folder) : new RunFolder(folder);
            ResumeCheck.requireSameSettings(old, config);
            return run(world, old);
        }
    }

    /**
     * Loads all that a run works on, and trains.
     *
     * @param old the folder of the run to go on with, locked; null for a new run
     */
    private TrainResult run(World world, @Nullable RunFolder old) {
        try (RunParts parts = parts(world, old)) {
            SampleAnswers samples =
                    new SampleAnswers(
                            config,
                            parts.model(),
                            parts.inputs().tokenizer(),
                            parts.learner(),
                            HeldOutAnswers.of(
                                    config,
                                    parts.inputs().tokenizer(),
                                    parts.data(),
                                    () -> cancelled),
                            parts.folder(),
                            listener,
                            () -> cancelled);
            hasBegun = true;
            TrainResult result =
                    new TrainingLoop(config, parts, samples, listener, () -> cancelled).run();
            world.leave(); // what is left to do, process 0 does alone
            if (world.isFirst()) {
                answer(result, parts, samples);
            }
            return result;
        }
    }

    /** Answers with the weights that the run ends with. */
    private void answer(TrainResult result, RunParts parts, SampleAnswers samples) {
        Path outcome = result.adapter();
        boolean isNewest = parts.folder().checkpoint(result.steps()).equals(outcome);
        if (outcome != null && !isNewest) {
            parts.learner().restore(outcome); // the best weights are those that answer
            samples.forget();
        }
        if (!result.cancelled()) {
            samples.giveAtEnd(result.steps());
            samples.compareAtEnd(result.steps());
        }
        listener.finished(result);
    }

    private RunParts parts(World world, @Nullable RunFolder old) {
        RunParts.Made made = new RunParts.Made();
        try {
            RunInputs inputs = made.add(RunInputs.load(config, records));
            Objective.check(config, inputs.shape());
            TaskSuite tasks = TaskEvaluation.suite(config.eval());
            Placement among = Placement.of(world, config.train());
            CausalModel model =
                    made.add(
                            among.stages() == 1
                                    ? load(inputs.place(), old)
                                    : stage(inputs.place(), among));
            model.resizeVocabulary(inputs.rows());
            TrainingData data = inputs.data();
            data.train().report(config.data()).forEach(listener::notice);
            String length = RunLength.notice(config, data);
            if (length != null) {
                listener.notice(length);
            }
            Fingerprints origin = Fingerprints.of(config, inputs.place(), data);
            RunCheckpoint start = old == null ? null : checkpoint(old, origin);
            if (world.size() > 1) {
                world.requireSame(SharedFacts.of(config, origin, start));
            }
            TrainerState begin = start == null ? TrainerState.atStart(origin) : start.state();
            Learner learner = made.add(Learner.create(config, inputs.place(), model, start));
            TrainableParameters parameters =
                    made.add(
                            new TrainableParameters(
                                    learner.parameters(),
                                    p -> ParameterGroup.of(p, config.train().loraplusLrRatio())));
            Teacher teacher =
                    made.addIfAny(
                            Teacher.load(
                                    config,
                                    inputs.place(),
                                    inputs.tokenizer(),
                                    data.train().examples()));
            boolean owns = world.isFirst();
            RunFolder folder =
                    owns // only now: bad input leaves nothing behind
                            ? folder(old)
                            : new RunFolder(config.train().outputPath());
            RunLock lock = made.addIfAny(owns && old == null ? RunLock.take(folder.path()) : null);
            Path pages = owns ? folder.path().toAbsolutePath() : Caches.folder();
            AdamW optimizer = optimizer(owns && old == null, folder, pages, start, parameters);
            return new RunParts(
                    inputs,
                    tasks,
                    model,
                    begin,
                    learner,
                    parameters,
                    teacher,
                    folder,
                    lock,
                    optimizer,
                    world);
        } catch (RuntimeException | Error e) {
            made.undo(e);
            throw e;
        }
    }

    private @Nullable RunCheckpoint checkpoint(RunFolder old, Fingerprints origin) {
        RunCheckpoint newest = ResumeCheck.newest(old, config, origin).orElse(null);
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
            Path pages,
            @Nullable RunCheckpoint start,
            TrainableParameters parameters) {
        AdamW optimizer;
        try {
            optimizer = new AdamW(parameters, config.train().optimizer(), pages);
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

    private CausalModel stage(ModelPlace place, Placement among) {
        return Models.stage(
                place,
                config.quantization(),
                config.quantization().computeDtype().onThisMachine(),
                config.model().labels(),
                config.train().seed(),
                among.stage(),
                among.stages());
    }

    private CausalModel load(ModelPlace place, @Nullable RunFolder old) {
        boolean full = config.train().fullFinetune();
        if (full || !(config.lora().initLoraWeights() instanceof LoraInit.Pissa pissa)) {
            return load(place, config, full);
        }
        RunCheckpoint start = old == null ? null : old.newestWhole().orElse(null);
        if (start == null) {
            listener.notice(
                    "taking the weights of the adapted layers apart (%s)%s"
                            .formatted(
                                    pissa.json(),
                                    pissa.iterations() == null
                                            ? "; on large models try pissa_niter_16, which only approximates them"
                                            : ""));
        }
        return loadFrom(place, config, false, start == null ? null : start.folder());
    }

    /** The base model of a run, its weights as the settings say. */
    public static CausalModel load(ModelPlace place, RunConfig config, boolean trainable) {
        return loadFrom(place, config, trainable, null);
    }

    /** The model as it was before the run, with nothing taken from its weights. */
    static CausalModel loadBase(ModelPlace place, RunConfig config) {
        return loadWith(place, config, false, null);
    }

    /**
     * The base model of a run that goes on from a checkpoint.
     *
     * @param checkpoint its folder, which keeps what was taken from the weights; or null
     */
    private static CausalModel loadFrom(
            ModelPlace place, RunConfig config, boolean trainable, @Nullable Path checkpoint) {
        DType compute = config.quantization().computeDtype().onThisMachine();
        return loadWith(
                place,
                config,
                trainable,
                config.train().fullFinetune()
                        ? null
                        : PrincipalParts.of(
                                config.lora(), compute, config.train().seed(), checkpoint));
    }

    private static CausalModel loadWith(
            ModelPlace place,
            RunConfig config,
            boolean trainable,
            @Nullable PrincipalParts principals) {
        DType compute = config.quantization().computeDtype().onThisMachine();
        if (config.model().streamLayers()) {
            return Models.stream(
                    place,
                    config.quantization(),
                    compute,
                    config.model().labels(),
                    config.train().seed());
        }
        return switch (config.model().init()) {
            case CHECKPOINT ->
                    Models.load(
                            place,
                            config.quantization(),
                            compute,
                            trainable,
                            principals,
                            config.model().labels(),
                            config.train().seed());
            case RANDOM ->
                    Models.random(
                            place.folder(),
                            config.quantization(),
                            compute,
                            trainable,
                            config.train().seed(),
                            principals,
                            config.model().labels());
        };
    }
}
