package org.qlora4j.autograd;

import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * The head's linear layer and the summed cross-entropy of its logits, in chunks of rows: logits of
 * the whole batch never exist. Rows without a label are left out. The gradient is made together
 * with the loss, chunk by chunk, and is all that is saved.
 */
public final class CrossEntropy {
    /** Label of a position that is not trained. */
    public static final int IGNORE = -100;

    /** Bytes of logits in one chunk. */
    public static final long CHUNK_BYTES = 48L << 20;

    private CrossEntropy() {}

    /**
     * @param hidden [batch, time, hidden], the input of the head
     * @param head of the hidden width
     * @param labels [batch * time]: the id that each position should predict (already shifted), or
     *     {@link #IGNORE}
     * @return F32 []: the sum over labelled positions of -log p(label), in nats
     */
    public static Var sum(Tape tape, Var hidden, Head head, int[] labels) {
        long positions = hidden.value().count() / head.weight().in();
        if (labels.length != positions) {
            throw new IllegalArgumentException(
                    "cross-entropy: %d labels for %d positions"
                            .formatted(labels.length, positions));
        }
        boolean trainsHead = head.trains();
        return tape.operation(
                "crossEntropy",
                hidden.needsGrad() || trainsHead,
                call -> {
                    long[] shape = hidden.value().shape();
                    long width = shape[shape.length - 1];
                    Tensor all = hidden.value().reshape(-1, width);
                    Rows rows = Rows.of(labels);
                    Tensor loss = Tensors.zeros(all.dtype().wide());
                    Tensor dAll =
                            call.recording() && hidden.needsGrad()
                                    ? call.save(Tensors.zeros(all.dtype(), all.shape()))
                                    : null;
                    int chunk =
                            (int)
                                    Math.max(
                                            1,
                                            CHUNK_BYTES
                                                    / (head.vocabulary() * all.dtype().bytes()));
                    for (int from = 0; from < rows.count(); from += chunk) {
                        try (TensorScope scope = TensorScope.open()) {
                            Rows part = rows.slice(from, Math.min(rows.count(), from + chunk));
                            addChunk(loss, all, dAll, head, part, call.recording());
                        }
                    }
                    call.backward(gradient -> {
                        if (trainsHead && gradient.item() != 1) {
                            throw new IllegalStateException(
                                    "a trained head needs the loss itself as root");
                        }
                        if (dAll != null) {
                            hidden.accumulate(dAll.times(gradient.item()).view(shape));
                        }
                    });
                    return loss;
                });
    }

    private static void addChunk(
            Tensor loss,
            Tensor all,
            @Nullable Tensor dAll,
            Head head,
            Rows rows,
            boolean recording) {
        Tensor index = Tensors.of(rows.positions(), rows.count());
        Tensor inputs = all.indexSelect(0, index); // [rows, hidden]
        Tensor weight = head.weight().dense(all.dtype());
        Tensor logits = inputs.linear(weight, null); // [rows, vocabulary]
        Tensor dLogits = logits; // overwritten by their gradient
        if (head.isPlain()) {
            loss.addInPlace(
                    Kernels.current()
                            .crossEntropy()
                            .lossAndGradient(inputs, weight, logits, rows.labels(), recording));
        } else {
            dLogits = finished(loss, head, logits, rows, recording);
        }
        if (!recording) {
            return;
        }
        if (head.weight() instanceof Weight.Dense(Parameter p) && p.trainable()) {
            Linear.addProduct(p.grad(), dLogits.t(), inputs, 1);
        }
        if (dAll != null) {
            dAll.indexAddInPlace(0, index, dLogits.mm(weight));
        }
    }

    /** Adds the loss of logits that are more than a product; gives the gradient of the product. */
    private static Tensor finished(
            Tensor loss, Head head, Tensor products, Rows rows, boolean recording) {
        Tensor logits = head.finish(products.to(loss.dtype()));
        Tensor labels = Tensors.of(rows.labels(), rows.count(), 1);
        Tensor sums = logits.logsumexp(1, true); // [rows, 1]
        loss.addInPlace(sums.minus(logits.gather(1, labels)).sum());
        if (!recording) {
            return products;
        }
        Tensor gradient = logits.minus(sums).expInPlace();
        gradient.scatterAddInPlace(1, labels, Tensors.full(-1, loss.dtype(), rows.count(), 1));
        return head.unfinish(gradient, logits).to(products.dtype());
    }

    /** Positions that have a label, and their labels. */
    private record Rows(long[] positions, long[] labels) {
        static Rows of(int[] labels) {
            long[] positions = new long[labels.length];
            long[] kept = new long[labels.length];
            int n = 0;
            for (int i = 0; i < labels.length; i++) {
                if (labels[i] != IGNORE) {
                    positions[n] = i;
                    kept[n++] = labels[i];
                }
            }
            return new Rows(
                    java.util.Arrays.copyOf(positions, n), java.util.Arrays.copyOf(kept, n));
        }

        int count() {
            return labels.length;
        }

        Rows slice(int from, int to) {
            return new Rows(
                    java.util.Arrays.copyOfRange(positions, from, to),
                    java.util.Arrays.copyOfRange(labels, from, to));
        }
    }
}
