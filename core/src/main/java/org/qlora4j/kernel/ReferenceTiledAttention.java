package org.qlora4j.kernel;

import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * {@link TiledAttention} in libtorch operations, all scores at once: the judge of the others, never
 * chosen, since attention in blocks of queries takes less memory.
 */
record ReferenceTiledAttention() implements TiledAttention {
    private static final double HIDDEN = -3.0e38;

    @Override
    public boolean takes(DType dtype) {
        return false;
    }

    @Override
    public void forward(
            Tensor q,
            Tensor k,
            Tensor v,
            double scale,
            double softcap,
            BlockMask mask,
            Tensor out,
            @Nullable Tensor logSums) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor scores = scores(q, k, scale, softcap, mask);
            Tensor sums = scores.logsumexp(-1, true);
            Tensor p = probabilities(scores, sums, mask);
            Tensor y = p.bmm(headsFirst(v, q.size(2)));
            out.copyFrom(y.view(q.size(0), q.size(2), q.size(1), q.size(3)).transpose(1, 2));
            if (logSums != null) {
                logSums.copyFrom(sums.view(logSums.shape()));
            }
        }
    }

    @Override
    public void backward(Forward f, Tensor dOut, Tensor dq, Tensor dk, Tensor dv) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor q = f.q();
            long heads = q.size(2);
            Tensor scores = scores(q, f.k(), f.scale(), f.softcap(), f.mask());
            Tensor p = probabilities(scores, scores.logsumexp(-1, true), f.mask());
            Tensor dy = headsFirst(dOut, heads);
            Tensor dp = dy.bmm(headsFirst(f.v(), heads).transpose(1, 2));
            Tensor expected = dp.times(p).sum(-1, true);
            Tensor dScores = dp.minus(expected).mulInPlace(p).mulInPlace(f.scale());
            if (f.softcap() != 0) { // 1 - tanh²
                Tensor tanh = products(q, f.k(), f.scale(), f.softcap()).times(1 / f.softcap());
                dScores.addcmulInPlace(dScores.times(tanh), tanh, -1);
            }
            Tensor dQueries = dScores.bmm(headsFirst(f.k(), heads));
            dq.copyFrom(dQueries.view(q.size(0), heads, q.size(1), q.size(3)).transpose(1, 2));
            dk.copyFrom(sumOfGroups(dScores.transpose(1, 2).bmm(headsFirst(q, heads)), dk));
            dv.copyFrom(sumOfGroups(p.transpose(1, 2).bmm(dy), dv));
        }
    }

    /** Scaled and capped, those of hidden keys too. */
    private static Tensor products(Tensor q, Tensor k, double scale, double softcap) {
        long heads = q.size(2);
        Tensor all = headsFirst(q, heads).bmm(headsFirst(k, heads).transpose(1, 2)).times(scale);
        return softcap == 0 ? all : all.times(1 / softcap).tanh().mulInPlace(softcap);
    }

    private static Tensor scores(Tensor q, Tensor k, double scale, double softcap, BlockMask mask) {
        Tensor all = products(q, k, scale, softcap);
        Tensor hidden = mask.hidden();
        if (hidden != null) {
            all.view(mask.sequences(), -1, mask.rows(), mask.keys())
                    .maskedFillInPlace(hidden, HIDDEN);
        }
        return all;
    }

    private static Tensor probabilities(Tensor scores, Tensor sums, BlockMask mask) {
        Tensor p = scores.minus(sums).expInPlace();
        Tensor hidden = mask.hidden();
        if (hidden != null) { // also in rows that see nothing
            p.view(mask.sequences(), -1, mask.rows(), mask.keys()).maskedFillInPlace(hidden, 0);
        }
        return p;
    }

    /** [batch, time, its heads, headDim] to [batch * heads, time, headDim], heads repeated. */
    private static Tensor headsFirst(Tensor x, long heads) {
        long[] of = new long[(int) heads];
        for (int h = 0; h < heads; h++) {
            of[h] = h / (heads / x.size(2));
        }
        return x.indexSelect(2, Tensors.of(of, heads))
                .transpose(1, 2)
                .reshape(x.size(0) * heads, x.size(1), x.size(3));
    }

    /** [batch * heads, keys, headDim], summed over the heads that share a key head. */
    private static Tensor sumOfGroups(Tensor x, Tensor like) {
        return x.view(like.size(0), like.size(2), -1, like.size(1), like.size(3))
                .sum(2, false)
                .transpose(1, 2);
    }
}
