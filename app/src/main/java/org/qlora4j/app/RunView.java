package org.qlora4j.app;

import org.qlora4j.run.RunListener;
import org.qlora4j.run.TrainResult;

/** How {@code qlora train} shows a run: to people, to machines, or as little as can be. */
sealed interface RunView extends RunListener
        permits TrainReport, JsonRunView, QuietRunView, SilentRunView {
    /** Shows the outcome. */
    void conclude(TrainResult result);

    /** Shows that the run was asked to end, and saves. */
    default void interrupted() {}

    /** Shows that the run was asked to end before its first step. */
    default void interruptedEarly() {}

    /** Shows that it did not end in time. */
    default void gaveUp(int seconds) {}

    /** Makes room for a line of the log. */
    default void clear() {}
}
