package org.qlora4j.generate;

import java.util.Arrays;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Weight;
import org.qlora4j.kernel.EightBitProduct;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.CrossContext;
import org.qlora4j.quant.EightBitMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A model's head as generation uses it: in 8 bits where that is faster and hardly to be seen. The
 * same few ids decide for every text: the model's states behind them go through both heads, and the
 * 8 bits stay if the divergence of the probabilities is below {@link #MOST_DIVERGENCE}. A model
 * whose linears are whole in f32 keeps its head whole too. Training and evaluation never use it.
 */
public final class InferenceHead implements AutoCloseable {
    /** Largest Kullback-Leibler divergence from the exact head, in nats a token. */
    public static final double MOST_DIVERGENCE = 1e-3;

    /** Positions that are compared, the last of those read. */
    private static final int POSITIONS = 16;

    private static final Logger LOG = LoggerFactory.getLogger(InferenceHead.class);

    private final CausalModel model;
    private final boolean wanted;
    private double divergence = Double.NaN;
    private @Nullable EightBitMatrix eightBit;
    private @Nullable Tensor judgedOf; // an adapter may bring another head

    /** A head in 8 bits where that is close enough. */
    public InferenceHead(CausalModel model) {
        this(model, true);
    }

    private InferenceHead(CausalModel model, boolean wanted) {
        this.model = model;
        this.wanted = wanted;
    }

    /** The head as the model has it. */
    public static InferenceHead exact(CausalModel model) {
        return new InferenceHead(model, false);
    }

    /** A head of its own for the same model, in 8 bits under the same conditions. */
    public InferenceHead another() {
        return new InferenceHead(model, wanted);
    }

    /** Bits of a weight of the head, as it is used now: 8, or those of the compute dtype. */
    public int bits() {
        return eightBit != null ? 8 : 8 * model.compute().bytes();
    }

    /** Bytes read for a token's logits. */
    public long byteSize() {
        return eightBit != null ? eightBit.byteSize() : model.head().weight().byteSize();
    }

    /** Mean divergence of the 8-bit head on the ids that decided, in nats; NaN if none has. */
    public double divergence() {
        return divergence;
    }

    /**
     * Logits F32 (F64) [rows, vocabulary] of hidden states [..., hidden]. A row's do not depend on
     * the number of rows where the head is in 8 bits.
     */
    Tensor logits(Tensor hidden) {
        EightBitMatrix matrix = judgedOf == weight() ? eightBit : null;
        if (matrix == null) {
            return model.logits(hidden);
        }
        Tensor rows = hidden.reshape(-1, hidden.size(-1));
        if (rows.size(0) <= EightBitProduct.MOST_ROWS) {
            return model.head().finish(matrix.times(rows));
        }
        Tensor products = Tensors.empty(DType.F32, rows.size(0), model.head().vocabulary());
        for (long from = 0; from < rows.size(0); from += EightBitProduct.MOST_ROWS) {
            long count = Math.min(EightBitProduct.MOST_ROWS, rows.size(0) - from);
            try (TensorScope piece = TensorScope.open()) {
                products.narrow(0, from, count).copyFrom(matrix.times(rows.narrow(0, from, count)));
            }
        }
        return model.head().finish(products);
    }

    /** Decides whether 8 bits will do, unless that has been decided for the head as it is now. */
    public void prepare() {
        Tensor weight = weight();
        if (!wanted || (weight != null && weight == judgedOf)) {
            return;
        }
        close(); // of another head
        judgedOf = weight;
        if (!canHold()) {
            return;
        }
        EightBitMatrix matrix =
                EightBitMatrix.quantize(model.head().weight().dense(model.compute()));
        divergence = divergence(matrix);
        if (divergence < MOST_DIVERGENCE) {
            eightBit = matrix;
        } else {
            matrix.close();
        }
        LOG.info(
                "head in {} bits: 8 bits change the next token's probabilities by {} nats",
                bits(),
                String.format(Locale.ROOT, "%.1e", divergence));
    }

    private boolean canHold() {
        boolean whole =
                model.linears().stream()
                        .noneMatch(l ->
                                l.weight() instanceof Weight.Quantized
                                        || l.weight() instanceof Weight.Streamed
                                        || l.weight() instanceof Weight.Blocks);
        return model.head().weight() instanceof Weight.Dense(Parameter p)
                && !p.trainable()
                && (model.compute() == DType.BF16 || !whole)
                && EightBitMatrix.fits(model.head().weight().in())
                && EightBitMatrix.multipliesFewRows(model.compute(), 1);
    }

    /** The matrix beside the exact head on states of the model behind ids of its vocabulary. */
    private double divergence(EightBitMatrix matrix) {
        int time = Math.min(2 * POSITIONS, model.maxPositions());
        long[] ids = new long[time];
        for (int i = 0; i < time; i++) {
            ids[i] = (long) (i + 1) * 373 % Math.min(4096, model.shape().vocabularySize());
        }
        int rows = Math.min(POSITIONS, time);
        double sum = 0;
        try (TensorScope all = TensorScope.open();
                BatchContext seen = BatchContext.of(1, time);
                Tape tape = Tape.inference()) {
            Tensor input = tape.keep(Tensors.of(ids, 1, time));
            Tensor hidden = hidden(tape, input, seen);
            for (int i = 0; i < rows; i++) { // one by one: the kernel for few rows does not round
                try (TensorScope scope = TensorScope.open()) {
                    Tensor x = hidden.narrow(1, time - rows + i, 1).reshape(1, -1);
                    sum += divergence(model.logits(x), model.head().finish(matrix.times(x)));
                }
            }
        }
        return sum / rows;
    }

    /** States behind ids; a model that answers sources reads them as its source too. */
    private Tensor hidden(Tape tape, Tensor ids, BatchContext seen) {
        if (!ReadSource.isFor(model)) {
            return model.hidden(tape, ids, seen, false).value();
        }
        byte[] visible = new byte[(int) ids.size(1)];
        Arrays.fill(visible, (byte) 1);
        try (BatchContext source = BatchContext.whole(1, visible.length, visible);
                CrossContext both =
                        new CrossContext(seen, model.encode(tape, ids, source, false), visible)) {
            return model.hidden(tape, ids, both, false).value();
        }
    }

    private @Nullable Tensor weight() {
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
        divergence = Double.NaN;
        judgedOf = null;
        if (eightBit != null) {
            eightBit.close();
            eightBit = null;
        }
    }
}
