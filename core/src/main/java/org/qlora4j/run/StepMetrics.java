package org.qlora4j.run;

/**
 * One step (update of the weights).
 *
 * @param step its number, from 1
 * @param totalSteps steps of the run
 * @param epoch passes over the data so far
 * @param loss mean over the step's label tokens of -log p, in nats
 * @param gradNorm norm of the gradient before it was limited
 * @param learningRate of the update
 * @param tokens tokens of the step without padding
 * @param labelTokens those that were trained
 * @param seconds time of the step
 * @param elapsedSeconds time since this process began to train
 */
public record StepMetrics(
        long step,
        long totalSteps,
        double epoch,
        double loss,
        double gradNorm,
        double learningRate,
        long tokens,
        long labelTokens,
        double seconds,
        double elapsedSeconds) {
    public double tokensPerSecond() {
        return tokens / seconds;
    }
}
