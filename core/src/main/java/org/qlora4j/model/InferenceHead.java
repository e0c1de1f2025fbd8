package org.qlora4j.model;

import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Weight;
import org.qlora4j.quant.EightBitMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A model's head as generation uses it: in 8 bits where that is faster and hardly to be seen. The
 * first text that is read decides: its last positions go through both heads, and the 8 bits stay if
 * the divergence of the probabilities is below {@link #MOST_DIVERGENCE}. Training and evaluation
 * never use it.
 */
public final class InferenceHead implements AutoCloseable {
    /** Largest Kullback-Leibler divergence from the exact head, in nats a token. */
    public static final double MOST_DIVERGENCE = 1e-3;

    /** Positions that are compared. */
    private static final int POSITIONS = 16;

    private static final Logger LOG = LoggerFactory.getLogger(InferenceHead.class);

    private boolean wanted = true;
    private boolean judged;
    private double divergence = Double.NaN;
    private @Nullable EightBitMatrix eightBit;
    private @Nullable Tensor judgedOf; // an adapter may bring another head

    /** Says whether 8 bits may be used at all. */
    public void allowEightBits(boolean allowed) {
        wanted = allowed;
    }

    /** Bits of a weight of the head, as it is used now: 8, or those of the compute dtype. */
    public int bits(CausalModel model) {
        return wanted && eightBit != null ? 8 : 8 * model.compute().bytes();
    }

    /** Bytes read for a token's logits. */
    public long byteSize(CausalModel model) {
        return wanted && eightBit != null ? eightBit.byteSize() : model.head().weight().byteSize();
    }

    /** Mean divergence of the 8-bit head on the text that decided, in nats; NaN if none has. */
    public double divergence() {
        return divergence;
    }

    /**
     * Logits F32 (F64) [rows, vocabulary] of hidden states [..., hidden].
     *
     * @param model whose head this is
     */
    public Tensor logits(CausalModel model, Tensor hidden) {
        EightBitMatrix matrix = judgedOf == headOf(model) ? eightBit : null;
        long rows = hidden.count() / hidden.size(-1);
        if (!wanted || matrix == null || !EightBitMatrix.multipliesFewRows(hidden.dtype(), rows)) {
            return model.logits(hidden);
        }
        return model.head().finish(matrix.times(hidden.reshape(-1, hidden.size(-1))));
    }

    /**
     * Decides whether 8 bits will do, unless that has been decided.
     *
     * @param hidden of a text, [1, time, hidden]
     */
    public void judge(CausalModel model, Tensor hidden) {
        Tensor head = headOf(model);
        if (!wanted || (judged && head == judgedOf)) {
            return;
        }
        close(); // of another head
        judged = true;
        judgedOf = head;
        boolean canHold =
                model.compute() == DType.BF16
                        && model.head().weight() instanceof Weight.Dense(Parameter p)
                        && !p.trainable()
                        && EightBitMatrix.fits(model.head().weight().in())
                        && EightBitMatrix.multipliesFewRows(model.compute(), 1);
        if (!canHold) {
            return;
        }
        EightBitMatrix matrix =
                EightBitMatrix.quantize(model.head().weight().dense(model.compute()));
        int rows = (int) Math.min(POSITIONS, hidden.size(1));
        divergence = 0;
        for (int i = 0; i < rows; i++) { // one by one: the kernel for few rows does not round
            try (TensorScope scope = TensorScope.open()) {
                Tensor x = hidden.narrow(1, hidden.size(1) - rows + i, 1).reshape(1, -1);
                divergence +=
                        divergence(model.logits(x), model.head().finish(matrix.times(x))) / rows;
            }
        }
        if (divergence < MOST_DIVERGENCE) {
            eightBit = matrix;
        } else {
            matrix.close();
        }
        LOG.info(
                "head in {} bits: 8 bits change the next token's probabilities by {} nats",
                bits(model),
                String.format(Locale.ROOT, "%.1e", divergence));
    }

    private static @Nullable Tensor headOf(CausalModel model) {
        return model.head().weight() instanceof Weight.Dense(Parameter p) ? p.value() : null;
    }

    /** KL(p, q), p and q the softmax of logits [1, vocabulary]. */
    private static double divergence(Tensor exact, Tensor approximate) {
        Tensor p = exact.softmax(1);
        Tensor logP = exact.plus(exact.logsumexp(1, true).neg());
        Tensor logQ = approximate.plus(approximate.logsumexp(1, true).neg());
        return p.times(logP.minus(logQ)).sum().item();
    }

    @Override
    public void close() {
        if (eightBit != null) {
            eightBit.close();
            eightBit = null;
        }
    }
}
