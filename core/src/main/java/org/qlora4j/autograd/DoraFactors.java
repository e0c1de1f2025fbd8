package org.qlora4j.autograd;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * A low-rank update whose rows have a length of their own (DoRA, arXiv 2402.09353): the layer
 * computes with {@code m / ‖W + scale * BA‖ * (W + scale * BA)}, the norm taken over each row and
 * seen as a constant by the gradient (section 4.3).
 */
public final class DoraFactors implements LinearUpdate {
    /** Rows of the weight that are squared at once: bounds the temporary. */
    private static final long ROWS = 1024;

    private final LoraFactors lora;
    private final Parameter magnitude;
    private @Nullable Tensor weightSquares; // F32 [out]: of the layer's weight, which never changes
    private @Nullable Tensor norms; // F32 [out]
    private int versionOfNorms = -1;

    /**
     * @param magnitude m [out]
     */
    public DoraFactors(LoraFactors lora, Parameter magnitude) {
        this.lora = lora;
        this.magnitude = magnitude;
    }

    @Override
    public LoraFactors lora() {
        return lora;
    }

    /** The length of each row, m [out]. */
    public Parameter magnitude() {
        return magnitude;
    }

    @Override
    public List<Parameter> parameters() {
        return List.of(lora.a(), lora.b(), magnitude);
    }

    boolean trainable() {
        return magnitude.trainable() || lora.a().trainable() || lora.b().trainable();
    }

    /**
     * The norm of each row of {@code W + scale * BA}, kept until A or B changes.
     *
     * @param weight always the same
     * @param compute dtype of the products
     * @return F32 (F64) [out], owned by this
     */
    Tensor norms(Weight weight, DType compute) {
        int version = lora.a().version() + lora.b().version();
        Tensor known = norms;
        if (known != null && version == versionOfNorms) {
            return known;
        }
        if (known != null) {
            known.close();
        }
        try (TensorScope scope = TensorScope.open()) {
            Tensor dense = weight.dense(compute);
            Tensor squares = weightSquares;
            if (squares == null) {
                squares = weightSquares = TensorScope.release(rowSquares(dense));
            }
            // ‖W + sBA‖² = ‖W‖² + 2s (WAᵀ)·B + s² (BAAᵀ)·B, row by row, without making BA
            DType wide = compute.wide();
            Tensor a = lora.a().value();
            Tensor b = lora.b().value().to(wide);
            Tensor cross = dense.mm(a.t()).to(wide).mulInPlace(b).sum(1, false);
            Tensor gram = a.to(wide).mm(a.to(wide).t());
            Tensor own = b.mm(gram).mulInPlace(b).sum(1, false);
            Tensor sum = squares.copy();
            sum.addInPlace(cross, 2 * lora.scale()).addInPlace(own, lora.scale() * lora.scale());
            Tensor result = TensorScope.release(sum.sqrt());
            norms = result;
            versionOfNorms = version;
            return result;
        }
    }

    /** {@code m / n - 1} of each row in the compute dtype, [out]. */
    Tensor stretch(Weight weight, DType compute) {
        return magnitude.value().dividedBy(norms(weight, compute)).addInPlace(-1.0).to(compute);
    }

    /** The squared norm of each row, in F32 (F64). */
    private static Tensor rowSquares(Tensor weight) {
        try (TensorScope scope = TensorScope.open()) {
            DType wide = weight.dtype().wide();
            Tensor out = Tensors.empty(wide, weight.size(0));
            for (long row = 0; row < weight.size(0); row += ROWS) {
                try (TensorScope part = TensorScope.open()) {
                    long count = Math.min(ROWS, weight.size(0) - row);
                    Tensor rows = weight.narrow(0, row, count).to(wide);
                    out.narrow(0, row, count).copyFrom(rows.square().sum(1, false));
                }
            }
            return scope.promote(out);
        }
    }

    /** The norm of each row of a weight: what m is at the start. */
    public static Tensor rowNorms(Tensor weight) {
        try (TensorScope scope = TensorScope.open()) {
            return scope.promote(rowSquares(weight).sqrt());
        }
    }

    @Override
    public void mergeInto(Tensor weight) {
        lora.mergeInto(weight);
        try (TensorScope scope = TensorScope.open()) {
            Tensor factor = magnitude.finest().to(weight.dtype()).dividedBy(rowNorms(weight));
            weight.mulInPlace(factor.unsqueeze(1));
        }
    }

    @Override
    public void close() {
        lora.close();
        magnitude.close();
        if (weightSquares != null) {
            weightSquares.close();
        }
        if (norms != null) {
            norms.close();
        }
    }
}
