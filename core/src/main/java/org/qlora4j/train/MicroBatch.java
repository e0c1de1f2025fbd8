package org.qlora4j.train;

import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.Head;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.data.Batch;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * One forward and backward pass: token ids to loss, loss to gradients in the parameters that learn.
 */
public final class MicroBatch {
    /** What a position of a batch is told to predict, as a sum over positions. */
    interface Loss {
        /** Arguments as for {@link CrossEntropy#sum}. */
        Var of(Tape tape, Var hidden, Head head, int[] labels);
    }

    private MicroBatch() {}

    /**
     * Adds the gradient of the batch's summed loss to the gradients of all trainable parameters.
     *
     * @param checkpointing keep only each layer's input, and compute the layer again in the
     *     backward pass
     * @param dropoutKey makes the dropout masks: a function of seed, step and micro-batch
     * @return the sum of -log p over the label tokens, in nats
     */
    public static double backward(
            CausalModel model, Batch batch, boolean checkpointing, long dropoutKey) {
        return backward(model, batch, checkpointing, dropoutKey, CrossEntropy::sum);
    }

    /**
     * As {@link #backward(CausalModel, Batch, boolean, long)}, with another loss; returns its sum.
     */
    static double backward(
            CausalModel model, Batch batch, boolean checkpointing, long dropoutKey, Loss kind) {
        try (TensorScope step = TensorScope.openSafetyNet();
                BatchContext seen = context(batch);
                Tape tape = Tape.recording(dropoutKey)) {
            Var loss = loss(tape, model, batch, seen, checkpointing, kind);
            double sum = loss.value().item();
            if (Double.isFinite(sum)) {
                tape.backward(loss);
            }
            return sum;
        }
    }

    /** The sum of -log p over the label tokens, without gradients and dropout. */
    public static double evaluate(CausalModel model, Batch batch) {
        try (TensorScope step = TensorScope.openSafetyNet();
                BatchContext seen = context(batch);
                Tape tape = Tape.inference()) {
            return loss(tape, model, batch, seen, false, CrossEntropy::sum).value().item();
        }
    }

    private static Var loss(
            Tape tape,
            CausalModel model,
            Batch batch,
            BatchContext seen,
            boolean checkpointing,
            Loss kind) {
        Tensor ids = tape.keep(Tensors.of(wide(batch.inputIds()), batch.batch(), batch.time()));
        Var hidden = model.hidden(tape, ids, seen, checkpointing);
        return kind.of(tape, hidden, model.head(), nextLabels(batch));
    }

    /** Rows that are one whole example each see the same, and one mask serves all. */
    private static BatchContext context(Batch batch) {
        boolean plain = true;
        for (int i = 0; i < batch.starts().length && plain; i++) {
            plain = batch.attentionMask()[i] && batch.starts()[i] == 0;
        }
        return plain
                ? BatchContext.of(batch.batch(), batch.time())
                : BatchContext.ofSamples(
                        batch.batch(), batch.time(), batch.starts(), batch.attentionMask());
    }

    /** What each position predicts: the label of the next place in its row. */
    private static int[] nextLabels(Batch batch) {
        int[] out = new int[batch.labels().length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (i + 1) % batch.time() == 0 ? CrossEntropy.IGNORE : batch.labels()[i + 1];
        }
        return out;
    }

    private static long[] wide(int[] ids) {
        long[] out = new long[ids.length];
        for (int i = 0; i < ids.length; i++) {
            out[i] = ids[i];
        }
        return out;
    }
}
