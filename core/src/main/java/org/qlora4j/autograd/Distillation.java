package org.qlora4j.autograd;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * The head's linear layer and a loss that draws its logits z towards a teacher's probabilities p
 * (arXiv 1503.02531): for each labelled position {@code w · T² · KL(p ‖ softmax(z / T)) + (1 - w) ·
 * -log softmax(z)[label]}, summed. In chunks of rows, as {@link CrossEntropy}: the gradient is made
 * together with the loss, and logits of the whole batch never exist. A position without a teacher's
 * word counts by its label alone.
 *
 * <p>Logits are rounded to the compute dtype and everything behind them is f32; in bf16 the value
 * of the loss is therefore less exact than that of {@link CrossEntropy}.
 */
public final class Distillation {
    /** Bytes of f32 logits in one chunk, of which there are about four at once. */
    private static final long CHUNK_BYTES = 32L << 20;

    /**
     * What does not change from position to position.
     *
     * @param temperature T, by which logits are divided before they meet the teacher's; above 0
     * @param weight w, the teacher's share, in [0, 1]
     */
    public record Mix(double temperature, double weight) {}

    private Distillation() {}

    /**
     * @param hidden [batch, time, hidden], the input of the head
     * @param head of the hidden width
     * @param labels [batch * time]: the id that each position should predict, or {@link
     *     CrossEntropy#IGNORE}
     * @param targets for the same positions, made at the same temperature
     * @return F32 []: the sum over labelled positions, in nats
     */
    public static Var sum(
            Tape tape, Var hidden, Head head, int[] labels, SoftTargets targets, Mix mix) {
        long positions = hidden.value().count() / head.weight().in();
        if (labels.length != positions || targets.positions() != positions) {
            throw new IllegalArgumentException(
                    "distillation: %d labels and %d targets for %d positions"
                            .formatted(labels.length, targets.positions(), positions));
        }
        boolean trainsHead = head.trains();
        return tape.operation(
                "distillation",
                hidden.needsGrad() || trainsHead,
                call -> {
                    long[] shape = hidden.value().shape();
                    Tensor all = hidden.value().reshape(-1, shape[shape.length - 1]);
                    DType wide = all.dtype().wide();
                    Tensor loss = Tensors.zeros(wide);
                    Tensor dAll =
                            call.recording() && hidden.needsGrad()
                                    ? call.save(Tensors.zeros(all.dtype(), all.shape()))
                                    : null;
                    int[] labelled = labelled(labels);
                    int chunk = (int) Math.max(1, CHUNK_BYTES / (head.vocabulary() * wide.bytes()));
                    for (int from = 0; from < labelled.length; from += chunk) {
                        int to = Math.min(labelled.length, from + chunk);
                        try (TensorScope scope = TensorScope.open()) {
                            int[] part = Arrays.copyOfRange(labelled, from, to);
                            Rows rows = Rows.of(part, labels, targets, mix, wide);
                            addChunk(loss, all, dAll, head, rows, mix, call.recording());
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

    private static int[] labelled(int[] labels) {
        return java.util.stream.IntStream.range(0, labels.length)
                .filter(i -> labels[i] != CrossEntropy.IGNORE)
                .toArray();
    }

    private static void addChunk(
            Tensor loss,
            Tensor all,
            @Nullable Tensor dAll,
            Head head,
            Rows rows,
            Mix mix,
            boolean recording) {
        Tensor inputs = all.indexSelect(0, rows.positions); // [rows, hidden]
        Tensor weight = head.weight().dense(all.dtype());
        Tensor products = inputs.linear(weight, null).to(all.dtype().wide());
        Tensor logits = head.finish(products); // [rows, vocabulary]
        double t = mix.temperature();
        Tensor hardSum = logits.logsumexp(1, true);
        Tensor hard = hardSum.minus(logits.gather(1, rows.labels)); // [rows, 1]
        Tensor tempered = t == 1 ? logits : logits.times(1 / t);
        Tensor softSum = t == 1 ? hardSum : tempered.logsumexp(1, true);
        Tensor picked = tempered.gather(1, rows.ids).mulInPlace(rows.p).sum(1, true);
        Tensor soft =
                softSum.minus(picked).times(t * t); // [rows, 1], without the teacher's entropy
        loss.addInPlace(hard.mulInPlace(rows.labelShare).sum());
        loss.addInPlace(soft.mulInPlace(rows.share).sum());
        loss.addInPlace(-t * t * rows.entropy);
        if (!recording) {
            return;
        }
        Tensor dLogits = logits.minus(hardSum).expInPlace();
        if (t == 1) { // both parts have the same softmax, and the shares add up to 1
            dLogits.scatterAddInPlace(1, rows.ids, rows.p.times(rows.share).neg());
        } else {
            dLogits.mulInPlace(rows.labelShare);
            Tensor dSoft = tempered.minus(softSum).expInPlace();
            dSoft.scatterAddInPlace(1, rows.ids, rows.p.neg());
            dLogits.addInPlace(dSoft.mulInPlace(rows.share), t); // T² of the loss, 1 / T of z / T
        }
        dLogits.scatterAddInPlace(1, rows.labels, rows.labelShare.neg());
        Tensor rounded = head.unfinish(dLogits, logits).to(all.dtype());
        if (head.weight() instanceof Weight.Dense(Parameter p) && p.trainable()) {
            Linear.addProduct(p.grad(), rounded.t(), inputs, 1);
        }
        if (dAll != null) {
            dAll.indexAddInPlace(0, rows.positions, rounded.mm(weight));
        }
    }

    /**
     * What is known of some positions before the logits are.
     *
     * @param positions I64 [rows]
     * @param labels I64 [rows, 1]
     * @param ids I64 [rows, width]
     * @param p the teacher's probabilities [rows, width]
     * @param share the teacher's share [rows, 1]: w, or 0 where it has nothing to say
     * @param labelShare 1 - share
     * @param entropy of all p, each times its share
     */
    private record Rows(
            Tensor positions,
            Tensor labels,
            Tensor ids,
            Tensor p,
            Tensor share,
            Tensor labelShare,
            double entropy) {
        static Rows of(int[] rows, int[] labels, SoftTargets targets, Mix mix, DType wide) {
            int n = rows.length;
            int width = targets.width();
            long[] positions = new long[n];
            long[] label = new long[n];
            long[] ids = new long[n * width];
            float[] p = new float[n * width];
            float[] share = new float[n];
            double entropy = 0;
            for (int i = 0; i < n; i++) {
                positions[i] = rows[i];
                label[i] = labels[rows[i]];
                share[i] = targets.has(rows[i]) ? (float) mix.weight() : 0;
                for (int j = 0; j < width; j++) {
                    int from = rows[i] * width + j;
                    ids[i * width + j] = targets.ids()[from];
                    p[i * width + j] = targets.probabilities()[from];
                    double q = targets.probabilities()[from];
                    entropy -= q > 0 ? share[i] * q * Math.log(q) : 0;
                }
            }
            Tensor shares = Tensors.of(share, n, 1).to(wide);
            return new Rows(
                    Tensors.of(positions, n),
                    Tensors.of(label, n, 1),
                    Tensors.of(ids, n, width),
                    Tensors.of(p, n, width).to(wide),
                    shares,
                    shares.neg().addInPlace(1.0),
                    entropy);
        }
    }
}
