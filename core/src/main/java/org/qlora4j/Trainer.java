package org.qlora4j;

import static org.qlora4j.error.Require.given;

import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Records;
import org.qlora4j.report.RunReports;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.TrainResult;
import org.qlora4j.train.TrainingRun;
import org.qlora4j.world.Membership;

/**
 * Finetunes a model in 4 bits (QLoRA, arXiv 2305.14314).
 *
 * <pre>{@code
 * RunConfig config = RunConfig.of("model.model_name_or_path=SmolLM2", "data.dataset=mine.jsonl",
 *         "train.output_dir=runs/mine", "train.max_steps=100");
 * TrainResult result = new Trainer(config).run();
 * }</pre>
 *
 * <p>Runs on one thread of the process, as {@link LanguageModel} does. What other threads ask of
 * models meanwhile is done between two steps; another run waits for the end of this one.
 *
 * <p>A program that torchrun, {@code qlora launch}, Slurm or Kubeflow started several times trains
 * one model together: their variables say which process this is. Process 0 writes the run folder,
 * calls the listener and returns where the adapter lies; the others return the same numbers.
 */
public final class Trainer {
    private final RunReports reports;
    private final TrainingRun run;

    /** A new run, of which nobody is told. */
    public Trainer(RunConfig config) {
        this(config, false, RunListener.NONE);
    }

    /**
     * A run.
     *
     * @param resume go on from the newest whole checkpoint in {@code train.output_dir}
     * @param listener is told of every step, on the thread that trains
     */
    public Trainer(RunConfig config, boolean resume, RunListener listener) {
        reports = new RunReports(given(config, "config"), given(listener, "listener"));
        run = new TrainingRun(config, resume, reports, Membership.of(System.getenv()));
    }

    /**
     * A run on records that the program holds, or makes one after the other. {@code data.dataset}
     * is {@link Records#NAME}; all other keys hold as for a file. A run is resumed with the same
     * records.
     *
     * @param resume as above
     * @param listener as above
     */
    public Trainer(RunConfig config, Records records, boolean resume, RunListener listener) {
        reports = new RunReports(given(config, "config"), given(listener, "listener"));
        run =
                new TrainingRun(
                        config,
                        given(records, "records"),
                        resume,
                        reports,
                        Membership.of(System.getenv()));
    }

    /**
     * Trains to the end, or until {@link #cancel}; once.
     *
     * @throws org.qlora4j.error.UserException if settings, model or data cannot be used, or the
     *     loss is no longer finite; checkpoints saved before stay
     */
    public TrainResult run() {
        try (reports) {
            return run.run();
        }
    }

    /**
     * Whether data and model are loaded and the first step has begun. Until then there is nothing
     * to save, and a run that is cancelled ends when they are loaded.
     */
    public boolean hasBegun() {
        return run.hasBegun();
    }

    /** Asks the run to save and end, from any thread; a step that is not finished is given up. */
    public void cancel() {
        run.cancel();
    }
}
