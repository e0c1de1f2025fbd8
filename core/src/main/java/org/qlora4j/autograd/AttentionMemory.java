package org.qlora4j.autograd;

import org.qlora4j.kernel.KernelMemory;

/**
 * Bytes that {@link Attention} holds at its worst while it runs, beside its arguments and results:
 * for plans of memory. Who changes what attention makes changes it here.
 *
 * @param batch sequences
 * @param time queries, and keys, of each
 * @param heads query heads
 * @param kvHeads key heads
 * @param headDim width of a head
 * @param width bytes of a value, 2 or 4
 * @param kernels what kernels hold while they run, and whether attention is done in tiles
 */
public record AttentionMemory(
        long batch,
        long time,
        long heads,
        long kvHeads,
        long headDim,
        int width,
        KernelMemory kernels) {
    /** Whether it is done in tiles, which need no tensors beside results and sums. */
    private boolean tiled() {
        return width == Float.BYTES && kernels.tiles();
    }

    /** What it saves beside its arguments and its result: the log of each row's sum. */
    public long saved() {
        return tiled() ? batch * heads * time * width : 0;
    }

    /** Keys and values, heads first; of a block the scores, the queries and what they get. */
    public long forward() {
        if (tiled()) {
            return 0;
        }
        long softmax = kernels.softmax(scoresOfBlock() / width, width);
        return 2 * keys() + scoresOfBlock() + 2 * queriesOfBlock() + softmax;
    }

    /**
     * Keys and values, heads first, and the sums of their gradients in f32; of a block the
     * probabilities and their gradient, and queries, results and the gradients of both.
     */
    public long backward() {
        if (tiled()) {
            return 0;
        }
        long sums = 2 * keys() / width * Float.BYTES;
        long softmax = kernels.softmaxBackward(scoresOfBlock() / width, width);
        return 2 * keys() + sums + 2 * scoresOfBlock() + 4 * queriesOfBlock() + softmax;
    }

    private long keys() {
        return batch * time * kvHeads * headDim * width;
    }

    private long scoresOfBlock() {
        return rowsOfBlock() * time * heads * width;
    }

    private long queriesOfBlock() {
        return rowsOfBlock() * heads * headDim * width;
    }

    /** Queries that are worked on at once, over all sequences of the block. */
    private long rowsOfBlock() {
        int ofOne = (int) Math.min(time, AttentionMask.BLOCK);
        long sequences = AttentionMask.sequencesOfBlock(heads, ofOne, (int) time);
        return ofOne * Math.min(batch, sequences);
    }
}
