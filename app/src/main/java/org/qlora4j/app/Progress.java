package org.qlora4j.app;

import java.time.Duration;

/**
 * Where a run stands after an optimizer step.
 *
 * @param step optimizer steps done, of {@code totalSteps}; a resumed run does not start from 0
 * @param totalSteps optimizer steps of the whole run
 * @param loss mean loss of one target token, in nats
 * @param tokensPerSecond tokens trained on in a second
 * @param residentBytes physical memory of the process now; 0 if unknown
 * @param peakBytes the most it was; 0 if unknown
 * @param elapsed time since this process began the first of its own steps
 */
record Progress(
        long step,
        long totalSteps,
        double loss,
        double tokensPerSecond,
        long residentBytes,
        long peakBytes,
        Duration elapsed) {}
