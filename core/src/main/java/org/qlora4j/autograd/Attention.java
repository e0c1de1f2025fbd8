package org.qlora4j.autograd;

import org.qlora4j.kernel.Kernels;
import org.qlora4j.kernel.RowMask;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * {@code softmax(q · kᵀ / sqrt(headDim) + mask) · v} with grouped heads (arXiv 2305.13245), softmax
 * in f32.
 *
 * <p>One sequence at a time, in blocks of queries that skip the keys no query of the block can see.
 * Only q, k and v are saved; the backward pass makes the probabilities of a block again (as
 * FlashAttention does, arXiv 2205.14135). A query that sees no key gets zeros.
 */
public final class Attention {
    private static final int BLOCK = 256;

    private Attention() {}

    /**
     * @param q [batch, queries, heads, headDim]
     * @param k [batch, keys, kvHeads, headDim]; query head h uses key head h / (heads / kvHeads)
     * @param v as k
     * @param mask must stay open until the backward pass
     * @return [batch, queries, heads * headDim]
     */
    public static Var apply(Tape tape, Var q, Var k, Var v, AttentionMask mask) {
        mask.requireFit(q.value(), k.value());
        return tape.operation(
                "attention",
                q.needsGrad() || k.needsGrad() || v.needsGrad(),
                call -> {
                    Tensor qs = call.save(q.value());
                    Tensor ks = call.save(k.value());
                    Tensor vs = call.save(v.value().view(ks.shape()));
                    Tensor out = Tensors.empty(qs.dtype(), qs.shape());
                    for (int b = 0; b < mask.batch(); b++) {
                        forward(b, qs, ks, vs, mask, out);
                    }
                    call.backward(gradient -> {
                        Tensor dOut = gradient.view(qs.shape());
                        Tensor dq = Tensors.empty(qs.dtype(), qs.shape());
                        Tensor dk = Tensors.empty(ks.dtype(), ks.shape());
                        Tensor dv = Tensors.empty(vs.dtype(), vs.shape());
                        for (int b = 0; b < mask.batch(); b++) {
                            backward(b, qs, ks, vs, mask, dOut, dq, dk, dv);
                        }
                        q.accumulate(dq);
                        k.accumulate(dk);
                        v.accumulate(dv.view(v.value().shape()));
                    });
                    return out.view(out.size(0), out.size(1), out.size(2) * out.size(3));
                });
    }

    /**
     * One sequence: heads of a group stand under each other, so that a group is one matrix product.
     */
    private static void forward(
            int b, Tensor q, Tensor k, Tensor v, AttentionMask mask, Tensor out) {
        try (TensorScope sequence = TensorScope.open()) {
            Shape s = Shape.of(q, k);
            Tensor queries = grouped(q.select(0, b), s); // [kvHeads, group, queries, headDim]
            Tensor keys = headsFirst(k.select(0, b));
            Tensor values = headsFirst(v.select(0, b));
            Tensor target = out.select(0, b).view(s.queries, s.kvHeads, s.group, s.headDim);
            for (int from = 0; from < s.queries; from += BLOCK) {
                try (TensorScope block = TensorScope.open()) {
                    int to = Math.min(s.queries, from + BLOCK);
                    int rows = to - from;
                    int last = mask.lastKey(to);
                    Tensor rowsOfBlock = rowsOf(queries, from, rows, s);
                    Tensor p =
                            probabilities(
                                    rowsOfBlock,
                                    keys.narrow(1, 0, last),
                                    mask.piece(b, from, to),
                                    s);
                    Tensor y = p.bmm(values.narrow(1, 0, last)); // [kvHeads, group * rows, headDim]
                    target.narrow(0, from, rows)
                            .copyFrom(
                                    y.view(s.kvHeads, s.group, rows, s.headDim)
                                            .permute(2, 0, 1, 3));
                }
            }
        }
    }

    private static void backward(
            int b,
            Tensor q,
            Tensor k,
            Tensor v,
            AttentionMask mask,
            Tensor dOut,
            Tensor dq,
            Tensor dk,
            Tensor dv) {
        try (TensorScope sequence = TensorScope.open()) {
            Shape s = Shape.of(q, k);
            DType compute = q.dtype();
            Tensor queries = grouped(q.select(0, b), s);
            Tensor dQueries = dq.select(0, b).view(s.queries, s.kvHeads, s.group, s.headDim);
            Tensor dOuts = grouped(dOut.select(0, b), s);
            Tensor keys = headsFirst(k.select(0, b));
            Tensor values = headsFirst(v.select(0, b));
            Tensor dKeys = Tensors.zeros(compute.wide(), keys.shape());
            Tensor dValues = Tensors.zeros(compute.wide(), values.shape());
            for (int from = 0; from < s.queries; from += BLOCK) {
                try (TensorScope block = TensorScope.open()) {
                    int to = Math.min(s.queries, from + BLOCK);
                    int rows = to - from;
                    int last = mask.lastKey(to);
                    Tensor rowsOfBlock = rowsOf(queries, from, rows, s);
                    Tensor keysSeen = keys.narrow(1, 0, last);
                    RowMask seen = mask.piece(b, from, to);
                    Tensor p = probabilities(rowsOfBlock, keysSeen, seen, s);
                    Tensor dy = rowsOf(dOuts, from, rows, s);
                    dValues.narrow(1, 0, last).addInPlace(p.transpose(1, 2).bmm(dy));
                    Tensor dScores = dy.bmm(values.narrow(1, 0, last).transpose(1, 2));
                    Kernels.current().attentionSoftmax().backward(p, dScores, s.scale(), seen);
                    dKeys.narrow(1, 0, last).addInPlace(dScores.transpose(1, 2).bmm(rowsOfBlock));
                    Tensor dRows = dScores.bmm(keysSeen).view(s.kvHeads, s.group, rows, s.headDim);
                    dQueries.narrow(0, from, rows).copyFrom(dRows.permute(2, 0, 1, 3));
                }
            }
            dk.select(0, b).copyFrom(dKeys.transpose(0, 1));
            dv.select(0, b).copyFrom(dValues.transpose(0, 1));
        }
    }

    /** [kvHeads, group * rows, keys]. */
    private static Tensor probabilities(Tensor rowsOfBlock, Tensor keys, RowMask mask, Shape s) {
        Tensor scores = rowsOfBlock.bmm(keys.transpose(1, 2));
        Kernels.current().attentionSoftmax().forward(scores, s.scale(), mask);
        return scores;
    }

    /** [time, heads, headDim] to [kvHeads, group, time, headDim]. */
    private static Tensor grouped(Tensor x, Shape s) {
        return x.view(s.queries, s.kvHeads, s.group, s.headDim).permute(1, 2, 0, 3);
    }

    /** Some rows as one matrix for each key head: [kvHeads, group * rows, headDim]. */
    private static Tensor rowsOf(Tensor grouped, int from, int rows, Shape s) {
        return grouped.narrow(2, from, rows).reshape(s.kvHeads, s.group * rows, s.headDim);
    }

    /** [time, heads, headDim] to contiguous [heads, time, headDim]. */
    private static Tensor headsFirst(Tensor x) {
        return x.transpose(0, 1).contiguous();
    }

    private record Shape(int queries, long kvHeads, long group, long headDim) {
        static Shape of(Tensor q, Tensor k) {
            return new Shape((int) q.size(1), k.size(2), q.size(2) / k.size(2), q.size(3));
        }

        double scale() {
            return 1 / Math.sqrt(headDim);
        }
    }
}
