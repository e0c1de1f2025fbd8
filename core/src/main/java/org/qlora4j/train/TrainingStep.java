package org.qlora4j.train;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
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
 * @param place of this process among those that share a step
 * @param pipeline through the stages of the model; null where it is whole here
 * @param cancelled asked between two micro-batches
 */
record TrainingStep(
        TrainConfig train,
        CausalModel model,
        TrainingData data,
        TrainableParameters parameters,
        AdamW optimizer,
        @Nullable Teacher teacher,
        Placement place,
        @Nullable Pipeline pipeline,
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
        World world = place.world();
        List<StepPlan.Share> shares = plan.share(place.group(), place.groups());
        Sums own =
                pipeline == null
                        ? oneByOne(shares, plan.step())
                        : through(pipeline, shares, plan.step());
        double[] all = world.sum(own.loss, own.labelTokens, own.tokens, own.givenUp ? 1 : 0);
        if (all[3] > 0) {
            return null;
        }
        world.sum(parameters.gradients());
        double summedNorm = world.fromFirst(parameters.gradientNorm());
        long labelTokens = (long) all[1];
        double gradNorm = parameters.divideAndClip(labelTokens, train.maxGradNorm(), summedNorm);
        return new Window(all[0] / labelTokens, gradNorm, (long) all[2], labelTokens);
    }

    /** Sums over the rows whose loss this process knows. */
    private record Sums(double loss, long labelTokens, long tokens, boolean givenUp) {}

    private Sums oneByOne(List<StepPlan.Share> shares, long step) {
        double lossSum = 0;
        long labelTokens = 0;
        long tokens = 0;
        for (StepPlan.Share share : shares) {
            if (cancelled.getAsBoolean()) {
                return new Sums(lossSum, labelTokens, tokens, true);
            }
            Batch batch = data.batch(share.rows());
            lossSum += backward(share, batch, step);
            labelTokens += batch.labelTokens();
            tokens += batch.realTokens();
        }
        return new Sums(lossSum, labelTokens, tokens, false);
    }

    /** The last stage alone counts. A step that has begun goes through to its end. */
    private Sums through(Pipeline stages, List<StepPlan.Share> shares, long step) {
        if (place.ends(cancelled)) {
            return new Sums(0, 0, 0, true);
        }
        List<Pipeline.Piece> pieces = new ArrayList<>();
        long labelTokens = 0;
        long tokens = 0;
        for (StepPlan.Share share : stages.pieces(shares)) {
            Batch batch = data.batch(share.rows());
            pieces.add(
                    new Pipeline.Piece(batch, DropoutKey.of(train.seed(), step, share.places())));
            labelTokens += place.isLastStage() ? batch.labelTokens() : 0;
            tokens += place.isLastStage() ? batch.realTokens() : 0;
        }
        return new Sums(stages.backward(pieces), labelTokens, tokens, false);
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
            if (pipeline == null) {
                backward(new StepPlan.Share(rows, new int[rows.length]), batch, 0);
            } else { // as many as are on their way at once
                Pipeline.Piece piece = new Pipeline.Piece(batch, new long[rows.length]);
                pipeline.backward(Collections.nCopies(place.stages(), piece));
            }
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
