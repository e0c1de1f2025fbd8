package org.qlora4j.run;

import java.nio.file.Path;

/**
 * Told what happens in a run, on the thread that trains; what it does delays the run. All methods
 * may be left out.
 */
public interface RunListener {
    /** A listener that does nothing. */
    RunListener NONE = new RunListener() {};

    /** Something worth a line, such as a setting that was filled in, or examples that were cut. */
    default void notice(String line) {}

    /** Everything is loaded, training begins. */
    default void started(RunInfo info) {}

    /** A step is done. */
    default void stepDone(StepMetrics metrics) {}

    /** The held-out examples were evaluated. */
    default void evaluated(EvalMetrics metrics) {}

    /** The tasks of {@code eval.tasks} were asked. */
    default void tasksAsked(TaskMetrics metrics) {}

    /** A checkpoint is whole on disk. */
    default void checkpointSaved(Path folder) {}

    /** A sample prompt is answered, at the end of the run or each {@code train.sample_steps}. */
    default void sampleAnswered(SampleAnswer answer) {}

    /** The held-out examples are answered, at the end of the run. */
    default void compared(ExactMatch answers) {}

    /** The run is over. */
    default void finished(TrainResult result) {}
}
