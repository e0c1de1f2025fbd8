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
import org.qlora4j.world.World;

/**
 * One update of the weights: gradients of a window of micro-batches, divided by its label tokens,
 * limited, and handed to the optimizer.
 *
 * @param teacher whose logits are learnt, or null
 * @param world the processes that share a step; each computes some of its rows
 * @param cancelled asked between two micro-batches
 */
record TrainingStep(
        TrainConfig train,
        CausalModel model,
        TrainingData data,
        TrainableParameters parameters,
        AdamW optimizer,
        @Nullable Teacher teacher,
        World world,
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

    /**
     * Gradients of the step's window, summed over all processes; null if one of them was cancelled
     * meanwhile. All get the same bits: the norm is that of process 0, since the order in which a
     * machine adds up squares may follow its threads.
     */
    @Nullable Window accumulate(StepPlan plan) {
        double lossSum = 0;
        long labelTokens = 0;
        long tokens = 0;
        boolean givenUp = false;
        for (StepPlan.Share share : plan.share(world.rank(), world.size())) {
            givenUp = cancelled.getAsBoolean();
            if (givenUp) {
                break;
            }
            Batch batch = data.batch(share.rows());
            lossSum += backward(share, batch, plan.step());
            labelTokens += batch.labelTokens();
            tokens += batch.realTokens();
        }
        double[] all = world.sum(lossSum, labelTokens, tokens, givenUp ? 1 : 0);
        if (all[3] > 0) {
            return null;
        }
        world.sum(parameters.gradients());
        double summedNorm = world.fromFirst(parameters.gradientNorm());
        labelTokens = (long) all[1];
        double gradNorm = parameters.divideAndClip(labelTokens, train.maxGradNorm(), summedNorm);
        return new Window(all[0] / labelTokens, gradNorm, (long) all[2], labelTokens);
    }

    /** Adds the gradients of a micro-batch to the others; returns its summed loss. */
    private double backward(StepPlan.Share share, Batch batch, long step) {
        MicroBatch.Loss loss =
                teacher == null ? CrossEntropy::sum : teacher.loss(share.rows(), batch.time());
        long[] dropoutKeys = DropoutKey.of(train.seed(), step, share.places());
        return MicroBatch.backward(model, batch, train.gradientCheckpointing(), dropoutKeys, loss);
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
            backward(new StepPlan.Share(rows, new int[rows.length]), batch, 0);
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
