package org.qlora4j.autograd;

import org.qlora4j.kernel.BlockMask;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.kernel.TiledAttention;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * {@code softmax(scale · q · kᵀ + mask) · v} with grouped heads (arXiv 2305.13245), softmax in f32.
 *
 * <p>By {@link TiledAttention} where that is fastest, which saves the logs of the rows' sums too.
 * Elsewhere in blocks of queries, all sequences that see about the same keys at once; keys that no
 * query of a block can see are skipped. Only q, k and v are saved; the backward pass makes the
 * probabilities of a block again (as FlashAttention does, arXiv 2205.14135). A query that sees no
 * key gets zeros.
 */
public final class Attention {
    private Attention() {}

    /**
     * @param q [batch, queries, heads, headDim]
     * @param k [batch, keys, kvHeads, headDim]; query head h uses key head h / (heads / kvHeads)
     * @param v as k
     * @param mask must stay open until the backward pass
     * @return [batch, queries, heads * headDim]
     */
    public static Var apply(
            Tape tape, Var q, Var k, Var v, AttentionMask mask, AttentionShape shape) {
        mask.requireFit(q.value(), k.value());
        return tape.operation(
                "attention",
                q.needsGrad() || k.needsGrad() || v.needsGrad() || shape.trains(),
                call -> {
                    Tensor qs = call.save(q.value());
                    Tensor ks = call.save(k.value());
                    Tensor vs = call.save(v.value().view(ks.shape()));
                    Tensor out = Tensors.empty(qs.dtype(), qs.shape());
                    boolean tiles = Kernels.current().tiledAttention().takes(qs.dtype());
                    if (tiles && shape.bias() == null) {
                        tiled(call, q, k, v, new Inputs(qs, ks, vs, mask, shape), out);
                        return flat(out);
                    }
                    forward(qs, ks, vs, mask, shape, out);
                    call.backward(gradient -> {
                        Tensor dq = Tensors.empty(qs.dtype(), qs.shape());
                        Tensor dk = Tensors.empty(ks.dtype(), ks.shape());
                        Tensor dv = Tensors.empty(vs.dtype(), vs.shape());
                        backward(qs, ks, vs, mask, shape, gradient.view(qs.shape()), dq, dk, dv);
                        q.accumulate(dq);
                        k.accumulate(dk);
                        v.accumulate(dv.view(v.value().shape()));
                    });
                    return flat(out);
                });
    }

    /** [batch, queries, heads, headDim] to [batch, queries, heads * headDim]. */
    private static Tensor flat(Tensor out) {
        return out.view(out.size(0), out.size(1), out.size(2) * out.size(3));
    }

    private record Inputs(Tensor q, Tensor k, Tensor v, AttentionMask mask, AttentionShape shape) {}

    private static void tiled(Tape.Call call, Var q, Var k, Var v, Inputs x, Tensor out) {
        TiledAttention kernel = Kernels.current().tiledAttention();
        double scale = x.shape.scale();
        double softcap = x.shape.softcap();
        BlockMask mask = x.mask.rows(x.shape.window());
        Tensor qs = x.q.contiguous();
        Tensor ks = x.k.contiguous();
        Tensor vs = x.v.contiguous();
        if (!call.recording()) {
            kernel.forward(qs, ks, vs, scale, softcap, mask, out, null);
            return;
        }
        Tensor logSums =
                call.save(Tensors.empty(x.q.dtype(), x.q.size(0), x.q.size(2), x.q.size(1)));
        Tensor result = call.save(out);
        kernel.forward(qs, ks, vs, scale, softcap, mask, out, logSums);
        call.backward(gradient -> {
            Tensor dq = Tensors.empty(x.q.dtype(), x.q.shape());
            Tensor dk = Tensors.empty(x.k.dtype(), x.k.shape());
            Tensor dv = Tensors.empty(x.v.dtype(), x.v.shape());
            Tensor dOut = gradient.contiguous();
            kernel.backward(
                    new TiledAttention.Forward(
                            x.q.contiguous(),
                            x.k.contiguous(),
                            x.v.contiguous(),
                            scale,
                            softcap,
                            mask,
                            result,
                            logSums),
                    dOut,
                    dq,
                    dk,
                    dv);
            q.accumulate(dq);
            k.accumulate(dk);
            v.accumulate(dv.view(v.value().shape()));
        });
    }

    /** Heads of a group stand under each other, so that a group is one matrix product. */
    private static void forward(
            Tensor q, Tensor k, Tensor v, AttentionMask mask, AttentionShape shape, Tensor out) {
        try (TensorScope scope = TensorScope.open()) {
            Shape s = Shape.of(q, k, shape);
            Tensor queries = s.byGroup(q);
            Tensor keys = s.headsFirst(k);
            Tensor values = s.headsFirst(v);
            Tensor target = s.byGroup(out);
            for (AttentionBlock block : mask.blocks(q.size(2), shape.window())) {
                if (block.keys() == 0) {
                    s.queriesOf(block, target).zero();
                    continue;
                }
                try (TensorScope each = TensorScope.open()) {
                    Tensor p = probabilities(s.rowsOf(block, queries), keys, block, s, mask);
                    Tensor y = p.bmm(s.keysOf(block, values));
                    s.queriesOf(block, target).copyFrom(s.split(block, y));
                }
            }
        }
    }

    private static void backward(
            Tensor q,
            Tensor k,
            Tensor v,
            AttentionMask mask,
            AttentionShape shape,
            Tensor dOut,
            Tensor dq,
            Tensor dk,
            Tensor dv) {
        try (TensorScope scope = TensorScope.open()) {
            Shape s = Shape.of(q, k, shape);
            Tensor queries = s.byGroup(q);
            Tensor keys = s.headsFirst(k);
            Tensor values = s.headsFirst(v);
            Tensor dOuts = s.byGroup(dOut);
            Tensor dQueries = s.byGroup(dq);
            DType wide = q.dtype().wide();
            Tensor dKeys = Tensors.zeros(wide, keys.shape());
            Tensor dValues = Tensors.zeros(wide, values.shape());
            for (AttentionBlock block : mask.blocks(q.size(2), shape.window())) {
                if (block.keys() == 0) {
                    s.queriesOf(block, dQueries).zero();
                    continue;
                }
                try (TensorScope each = TensorScope.open()) {
                    Tensor rows = s.rowsOf(block, queries);
                    Tensor p = probabilities(rows, keys, block, s, mask);
                    Tensor dy = s.rowsOf(block, dOuts);
                    s.keysOf(block, dValues).addInPlace(p.transpose(1, 2).bmm(dy));
                    Tensor dScores = dy.bmm(s.keysOf(block, values).transpose(1, 2));
                    Kernels.current()
                            .attentionSoftmax()
                            .backward(p, dScores, s.softmaxScale(), block.mask());
                    if (shape.bias() != null) {
                        shape.bias().addGradient(dScores, mask.buckets(shape.bias(), block));
                    }
                    if (shape.softcap() != 0) {
                        uncap(dScores, rows, s.keysOf(block, keys), shape);
                    }
                    s.keysOf(block, dKeys).addInPlace(dScores.transpose(1, 2).bmm(rows));
                    Tensor dRows = dScores.bmm(s.keysOf(block, keys));
                    s.queriesOf(block, dQueries).copyFrom(s.split(block, dRows));
                }
            }
            dk.copyFrom(s.timeFirst(dKeys));
            dv.copyFrom(s.timeFirst(dValues));
        }
    }

    /** [sequences * kvHeads, group * rows, keys]. */
    private static Tensor probabilities(
            Tensor rows, Tensor keys, AttentionBlock block, Shape s, AttentionMask mask) {
        Tensor scores = rows.bmm(s.keysOf(block, keys).transpose(1, 2));
        if (s.shape.bias() != null) {
            s.shape.bias().addTo(scores, mask.buckets(s.shape.bias(), block));
        }
        if (s.shape.softcap() != 0) {
            double cap = s.shape.softcap();
            scores = scores.mulInPlace(s.shape.scale() / cap).tanh().mulInPlace(cap);
        }
        Kernels.current().attentionSoftmax().forward(scores, s.softmaxScale(), block.mask());
        return scores;
    }

    /** Turns the gradient of capped scores into that of the products. */
    private static void uncap(Tensor gradient, Tensor rows, Tensor keys, AttentionShape shape) {
        double inner = shape.scale() / shape.softcap();
        Tensor tanh = rows.bmm(keys.transpose(1, 2)).mulInPlace(inner).tanh();
        gradient.addcmulInPlace(gradient.times(tanh), tanh, -1);
        gradient.mulInPlace(shape.scale());
    }

    private record Shape(long batch, long kvHeads, long group, long headDim, AttentionShape shape) {
        static Shape of(Tensor q, Tensor k, AttentionShape shape) {
            return new Shape(q.size(0), k.size(2), q.size(2) / k.size(2), q.size(3), shape);
        }

        /** What is left to the softmax: capped scores are scaled already. */
        double softmaxScale() {
            return shape.softcap() == 0 ? shape.scale() : 1;
        }

        /** A view [batch, kvHeads, group, time, headDim] of [batch, time, heads, headDim]. */
        Tensor byGroup(Tensor x) {
            return x.view(batch, x.size(1), kvHeads, group, headDim).permute(0, 2, 3, 1, 4);
        }

        /** The block's queries, as a view [sequences, kvHeads, group, rows, headDim]. */
        Tensor queriesOf(AttentionBlock block, Tensor byGroup) {
            return byGroup.narrow(0, block.sequence(), block.sequences())
                    .narrow(3, block.row(), block.rows());
        }

        /**
         * The block's queries, one matrix a key head: [sequences * kvHeads, group * rows, headDim].
         */
        Tensor rowsOf(AttentionBlock block, Tensor byGroup) {
            return queriesOf(block, byGroup)
                    .reshape(block.sequences() * kvHeads, group * block.rows(), headDim);
        }

        /** What {@link #rowsOf} joined, as {@link #queriesOf} has it. */
        Tensor split(AttentionBlock block, Tensor rows) {
            return rows.view(block.sequences(), kvHeads, group, block.rows(), headDim);
        }

        /** [batch, time, kvHeads, headDim] to [batch * kvHeads, time, headDim]. */
        Tensor headsFirst(Tensor x) {
            return x.transpose(1, 2).reshape(batch * kvHeads, x.size(1), headDim);
        }

        /** A view that turns {@link #headsFirst} back. */
        Tensor timeFirst(Tensor x) {
            return x.view(batch, kvHeads, x.size(1), headDim).transpose(1, 2);
        }

        /** The block's keys, as a view [sequences * kvHeads, keys, headDim]. */
        Tensor keysOf(AttentionBlock block, Tensor headsFirst) {
            return headsFirst
                    .narrow(0, block.sequence() * kvHeads, block.sequences() * kvHeads)
                    .narrow(1, block.key(), block.keys());
        }
    }
}
