package org.qlora4j.train;

import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.Head;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.data.Batch;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

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
     * @param dropoutKey makes the dropout masks of all rows
     * @return the sum of -log p over the label tokens, in nats
     */
    public static double backward(
            CausalModel model, Batch batch, boolean checkpointing, long dropoutKey) {
        long[] all = {dropoutKey};
        return backward(model, batch, checkpointing, all, CrossEntropy::sum);
    }

    /**
     * As {@link #backward(CausalModel, Batch, boolean, long)}, with another loss; returns its sum.
     *
     * @param dropoutKeys make the dropout masks, one for each row or one for all
     */
    static double backward(
            CausalModel model, Batch batch, boolean checkpointing, long[] dropoutKeys, Loss kind) {
        try (TensorScope step = TensorScope.openSafetyNet();
                Objective objective = Objective.of(model, batch);
                Tape tape = Tape.recording(dropoutKeys)) {
            Var loss = objective.sum(tape, model, checkpointing, kind);
            double sum = loss.value().item();
            if (Double.isFinite(sum)) {
                tape.backward(loss);
            }
            return sum;
        }
    }

    /**
     * What a classifier says of each row of a batch, without gradients and dropout.
     *
     * @param loss summed over the rows
     * @param logits of each row [classes]; of a regression its number
     * @param labels class of each row; of a regression the bits of its number
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Classified(double loss, float[][] logits, int[] labels) {}

    /** Asks a model that classifies. */
    static Classified classify(CausalModel model, Batch batch) {
        try (TensorScope step = TensorScope.openSafetyNet();
                Objective.Classify objective = (Objective.Classify) Objective.of(model, batch);
                Tape tape = Tape.inference()) {
            Var hidden = objective.hidden(tape, model, false);
            double loss =
                    objective.loss(tape, hidden, model.head(), CrossEntropy::sum).value().item();
            float[][] logits = new float[batch.batch()][];
            try (TensorScope scope = TensorScope.open()) {
                Tensor all = model.logits(hidden.value());
                for (int row = 0; row < logits.length; row++) {
                    logits[row] = all.select(0, row).toFloats();
                }
            }
            return new Classified(loss, logits, objective.labels());
        }
    }

    /** The sum of -log p over the label tokens, without gradients and dropout. */
    public static double evaluate(CausalModel model, Batch batch) {
        try (TensorScope step = TensorScope.openSafetyNet();
                Objective objective = Objective.of(model, batch);
                Tape tape = Tape.inference()) {
            return objective.sum(tape, model, false, CrossEntropy::sum).value().item();
        }
    }
}
