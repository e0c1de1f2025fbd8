package org.qlora4j.app;

import org.qlora4j.run.TrainResult;

/** Shows nothing: of several processes the first one speaks. */
record SilentRunView() implements RunView {
    @Override
    public void conclude(TrainResult result) {}
}
