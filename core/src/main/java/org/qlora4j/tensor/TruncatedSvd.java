package org.qlora4j.tensor;

import org.bytedeco.pytorch.global.torch;

/**
 * The part of a matrix that belongs to its largest singular values: {@code u · diag(s) · vh}.
 *
 * @param u [n, k], columns orthonormal
 * @param s [k], falling
 * @param vh [k, m], rows orthonormal
 */
public record TruncatedSvd(Tensor u, Tensor s, Tensor vh) {
    /**
     * The exact decomposition, of which k values are kept. Its tensors belong to the innermost
     * scope.
     *
     * @param matrix [n, m], F32 or F64, finite
     * @param k at most the smaller of n and m
     */
    public static TruncatedSvd exact(Tensor matrix, int k) {
        try (TensorScope scope = TensorScope.open()) {
            TruncatedSvd all = full(matrix);
            return new TruncatedSvd(
                    scope.promote(all.u.narrow(1, 0, k).copy()),
                    scope.promote(all.s.narrow(0, 0, k).copy()),
                    scope.promote(all.vh.narrow(0, 0, k).copy()));
        }
    }

    /**
     * The randomized decomposition of Halko, Martinsson and Tropp (arXiv 0909.4061, algorithms 4.4
     * and 5.1), as {@code torch.svd_lowrank}. Its tensors belong to the innermost scope.
     *
     * @param matrix [n, m], F32 or F64, finite
     * @param k at most the smaller of n and m
     * @param iterations of the subspace, at least 0: the more, the closer to the exact one
     * @param seed of the vectors it begins with
     */
    public static TruncatedSvd randomized(Tensor matrix, int k, int iterations, long seed) {
        try (TensorScope scope = TensorScope.open()) {
            boolean wide = matrix.size(0) < matrix.size(1);
            Tensor tall = wide ? matrix.t() : matrix;
            Tensor start = Tensors.normal(seed, 1, tall.size(1), k).to(matrix.dtype());
            Tensor q = orthonormal(tall.mm(start));
            for (int i = 0; i < iterations; i++) {
                q = orthonormal(tall.mm(orthonormal(tall.t().mm(q))));
            }
            TruncatedSvd small = full(q.t().mm(tall));
            Tensor u = q.mm(small.u);
            return new TruncatedSvd(
                    scope.promote(wide ? small.vh.t().copy() : u),
                    scope.promote(small.s),
                    scope.promote(wide ? u.t().copy() : small.vh));
        }
    }

    private static TruncatedSvd full(Tensor matrix) {
        Tensor[] out = new Tensor[3];
        Libtorch.run(() -> {
            var parts = torch.linalg_svd(matrix.handle(), false, null);
            out[0] = kept(parts.get0());
            out[1] = kept(parts.get1());
            out[2] = kept(parts.get2());
        });
        return new TruncatedSvd(out[0], out[1], out[2]);
    }

    /** An orthonormal basis of the columns. */
    private static Tensor orthonormal(Tensor columns) {
        return Tensors.fresh(
                () -> new org.bytedeco.pytorch.Tensor(torch.linalg_qr(columns.handle()).get0()));
    }

    private static Tensor kept(org.bytedeco.pytorch.Tensor part) {
        var own = new org.bytedeco.pytorch.Tensor(part);
        own.retainReference();
        return new Tensor(own, null);
    }
}
