package org.qlora4j.bench.scale;

import org.qlora4j.measure.StepCost;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.ModelShape.LinearShape;

/**
 * What one process does in a step: QLoRA with factors on all linears.
 *
 * @param rank of the factors
 * @param batch rows of a micro-batch
 * @param time tokens of a row
 * @param microBatches of a step
 * @param checkpointing whether the backward pass computes the forward pass again
 */
record Job(
        ModelShape shape, int rank, int batch, int time, int microBatches, boolean checkpointing) {
    /** Bytes of AdamW's two moments beside a weight of 4 bytes. */
    private static final int ADAM_BYTES = 8;

    Job withBatch(int rows) {
        return new Job(shape, rank, rows, time, microBatches, checkpointing);
    }

    Job withMicroBatches(int count) {
        return new Job(shape, rank, batch, time, count, checkpointing);
    }

    double tokens() {
        return (double) batch * time * microBatches;
    }

    /** Arithmetic of the products of a step: a pass computed again counts again. */
    double flops() {
        StepCost cost = StepCost.of(shape, batch, time, rank);
        double again =
                checkpointing
                        // of two passes, of three products, of six products
                        ? cost.linearFlops() / 2 + cost.loraFlops() / 3 + cost.attentionFlops() / 3
                        : 0;
        return (cost.flops() + again) * microBatches;
    }

    /** Numbers that go through norms, gates and the loss: what is no product goes with them. */
    double values() {
        double layer = shape.hiddenSize() + (double) shape.facts().intermediateSize();
        double layers = shape.layers() * layer * (checkpointing ? 1.5 : 1);
        return tokens() * (layers + shape.vocabularySize());
    }

    /** Weights that are decoded from 4 bits: all, once in each pass of each micro-batch. */
    double decoded() {
        return (double) shape.linearCount() * (checkpointing ? 3 : 2) * microBatches;
    }

    /** Share of a micro-batch's time that its backward pass takes, by the arithmetic. */
    double backwardShare() {
        return checkpointing ? 2.0 / 3 : 1.0 / 2;
    }

    /** Weights that learn. */
    long learnt() {
        long width = 0;
        for (LinearShape linear : shape.linears()) {
            width += linear.in() + linear.out();
        }
        return rank * width;
    }

    /** Bytes of their gradients, which travel. */
    long gradientBytes() {
        return Float.BYTES * learnt();
    }

    /** Bytes of a checkpoint: adapter, and the optimizer's state. */
    long checkpointBytes() {
        return (Float.BYTES + ADAM_BYTES) * learnt();
    }
}
