package org.qlora4j.train;

import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.config.TrainConfig;
import org.qlora4j.data.Batch;
import org.qlora4j.data.StepPlan;
import org.qlora4j.error.DeviceException;
import org.qlora4j.model.CausalModel;
import org.qlora4j.optim.AdamW;
import org.qlora4j.optim.TrainableParameters;
import org.qlora4j.plan.TrainingData;

/**
 * One update of the weights: gradients of a window of micro-batches, divided by its label tokens,
 * limited, and handed to the optimizer.
 *
 * @param teacher whose logits are learnt, or null
 * @param cancelled asked between two micro-batches
 */
record TrainingStep(
        TrainConfig train,
        CausalModel model,
        TrainingData data,
        TrainableParameters parameters,
        AdamW optimizer,
        @Nullable Teacher teacher,
        BooleanSupplier cancelled) {
    /**
     * What the window was.
     *
     * @param loss mean over its label tokens of -log p, in nats
     * @param gradNorm norm of the gradient before it was limited
     * @param tokens tokens without padding
     * @param labelTokens those that were trained
     */
    record Window(double loss, double gradNorm, long tokens, long labelTokens) {}

    /** Gradients of the step's window; null if the run was cancelled meanwhile. */
    @Nullable Window accumulate(StepPlan plan) {
        double lossSum = 0;
        long labelTokens = 0;
        long tokens = 0;
        for (int i = 0; i < plan.batches().size(); i++) {
            if (cancelled.getAsBoolean()) {
                return null;
            }
            int[][] rows = plan.batches().get(i);
            Batch batch = data.batch(rows);
            lossSum += backward(rows, batch, DropoutKey.of(train.seed(), plan.step(), i));
            labelTokens += batch.labelTokens();
            tokens += batch.realTokens();
        }
        double gradNorm = parameters.divideAndClip(labelTokens, train.maxGradNorm());
        return new Window(lossSum / labelTokens, gradNorm, tokens, labelTokens);
    }

    /** Adds the gradients of a micro-batch to the others; returns its summed loss. */
    private double backward(int[][] rows, Batch batch, long dropoutKey) {
        MicroBatch.Loss loss =
                teacher == null ? CrossEntropy::sum : teacher.loss(rows, batch.time());
        return MicroBatch.backward(model, batch, train.gradientCheckpointing(), dropoutKey, loss);
    }

    /**
     * Computes a micro-batch's gradients and throws them away, between two windows. No step sees
     * that it was done.
     *
     * @throws DeviceException with the size of the batch, if memory runs out
     */
    void tryOut(int[][] rows) {
        Batch batch = data.batch(rows);
        try {
            backward(rows, batch, DropoutKey.of(train.seed(), 0, 0));
        } catch (DeviceException e) {
            throw new DeviceException(
                    "the longest micro-batch, %d x %d tokens: %s"
                            .formatted(batch.batch(), batch.time(), e.getMessage()),
                    e);
        }
        parameters.zeroGradients();
    }

    /** Changes the weights by the gradients, and clears those for the next window. */
    void apply(double learningRate) {
        optimizer.step(learningRate);
        parameters.refresh();
        parameters.zeroGradients();
    }
}
