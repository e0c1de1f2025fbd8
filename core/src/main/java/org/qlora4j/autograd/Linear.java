package org.qlora4j.autograd;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.DenseProduct;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * {@code y = x · Wᵀ + bias + scale * B(A(dropout(x)))}: a linear layer on a weight in 16, 8 or 4
 * bits, with its low-rank update (QLoRA, arXiv 2305.14314, equation 5).
 *
 * <p>A 4-bit weight is decoded in the forward pass and again in the backward pass; only x and
 * {@code A(x)} are saved.
 */
public final class Linear {
    private Linear() {}

    /**
     * @param x [..., in] in the compute dtype
     * @param bias [out] or null
     * @param lora the update, or null
     * @return [..., out]
     */
    public static Var apply(
            Tape tape, Var x, Weight weight, @Nullable Parameter bias, @Nullable LoraFactors lora) {
        boolean trainsWeight = weight instanceof Weight.Dense(Parameter p) && p.trainable();
        boolean trainsBias = bias != null && bias.trainable();
        boolean trainsLora = lora != null && (lora.a().trainable() || lora.b().trainable());
        boolean needsGrad = x.needsGrad() || trainsWeight || trainsBias || trainsLora;
        return tape.operation(
                "linear",
                needsGrad,
                call -> {
                    Tensor input = call.save(x.value());
                    if (!tape.dropsOut()) {
                        Tensor y = fewRows(call, input, weight, bias, lora);
                        if (y != null) {
                            return y;
                        }
                    }
                    DType compute = input.dtype();
                    long[] shape = input.shape();
                    Tensor rows = input.reshape(-1, weight.in());
                    long @Nullable [] dropoutKeys =
                            lora != null && lora.dropout() > 0 && tape.dropsOut()
                                    ? tape.nextDropoutKeys()
                                    : null;
                    // also unrecorded, so that both passes of a checkpoint agree to the bit
                    Tensor hidden =
                            lora != null && tape.dropsOut()
                                    ? call.save(
                                            drop(rows, lora, dropoutKeys) // [n, rank]
                                                    .mm(lora.a().value().t()))
                                    : null;
                    Tensor y =
                            call.leavesOut(Tape.Reads.OPERANDS)
                                    ? Tensors.empty(compute, rows.size(0), weight.out())
                                    : product(rows, weight, bias, lora, hidden);
                    call.backward(gradient -> {
                        Tensor dy = gradient.reshape(-1, weight.out());
                        Tensor saved = input.reshape(-1, weight.in());
                        Tensor dHidden =
                                lora != null && hidden != null
                                        ? backwardFactors(lora, dropoutKeys, saved, hidden, dy)
                                        : null;
                        Tensor dx =
                                x.needsGrad()
                                        ? inputGradient(dy, weight, lora, dropoutKeys, dHidden)
                                        : null;
                        if (weight instanceof Weight.Dense(Parameter p) && p.trainable()) {
                            addProduct(p.grad(), dy.t(), saved, 1);
                        }
                        if (bias != null && bias.trainable()) {
                            bias.grad().addInPlace(dy.to(compute.wide()).sum(0, false));
                        }
                        if (dx != null) {
                            x.accumulate(dx.view(shape));
                        }
                    });
                    long[] outShape = shape.clone();
                    outShape[shape.length - 1] = weight.out();
                    return y.view(outShape);
                });
    }

    /**
     * The layer with its update.
     *
     * @param x [rows, in]
     * @param hidden A(x) where it is saved, or null
     */
    private static Tensor product(
            Tensor x,
            Weight weight,
            @Nullable Parameter bias,
            @Nullable LoraFactors lora,
            @Nullable Tensor hidden) {
        DType compute = x.dtype();
        Tensor added = bias == null ? null : bias.value();
        Tensor input = weight.input(x);
        Tensor w = weight.dense(compute);
        if (lora == null || hidden == null) {
            Tensor y = input.linear(w, added);
            if (lora != null) {
                addUpdate(x, lora, y);
            }
            return y;
        }
        Tensor b = lora.b().value();
        if (compute != DType.F32) {
            return input.linear(w, added).addmmInPlace(hidden, b.t(), 1, lora.scale());
        }
        Tensor scaled = lora.scale() == 1 ? hidden : hidden.times(lora.scale());
        // the update first: a product that adds to y does not fill it with zeros before
        Tensor y = scaled.mm(b.t()).addmmInPlace(input, w.t(), 1, 1);
        return added == null ? y : y.addInPlace(added);
    }

    /** The layer outside training, if there is a kernel that is faster for so few rows. */
    static @Nullable Tensor fewRows(
            Tape.Call call,
            Tensor x,
            Weight weight,
            @Nullable Parameter bias,
            @Nullable LoraFactors lora) {
        long rows = x.count() / weight.in();
        DType compute = x.dtype();
        DenseProduct dense = Kernels.current().denseProduct();
        if (call.recording() || !x.isContiguous() || !takes(weight, compute, rows)) {
            return null;
        }
        long[] shape = x.shape();
        shape[shape.length - 1] = weight.out();
        Tensor y = call.result(compute, shape);
        switch (weight) {
            case Weight.Frozen frozen -> frozen.matrix().multiplyInto(x, y);
            case Weight.Dense(Parameter p) -> dense.multiply(x, p.value(), y);
        }
        if (bias != null) {
            y.addInPlace(bias.value());
        }
        if (lora != null) {
            addUpdate(x.view(rows, weight.in()), lora, y.view(rows, weight.out()));
        }
        return y;
    }

    /**
     * {@code y += scale * B(A(x))}, where nothing is saved for a backward pass.
     *
     * @param x [rows, in]
     * @param y changed: [rows, out]
     */
    static void addUpdate(Tensor x, LoraFactors lora, Tensor y) {
        DenseProduct dense = Kernels.current().denseProduct();
        Tensor a = lora.a().value();
        Tensor b = lora.b().value();
        int rows = Math.toIntExact(x.size(0));
        if (x.isContiguous() && dense.takesUpdates(a, b, rows)) {
            dense.addUpdates(x, List.of(new DenseProduct.Update(0, rows, a, b, lora.scale())), y);
        } else {
            y.addmmInPlace(x.mm(a.t()), b.t(), 1, lora.scale());
        }
    }

    private static boolean takes(Weight weight, DType compute, long rows) {
        return switch (weight) {
            case Weight.Frozen frozen -> frozen.matrix().multipliesFewRows(compute, rows);
            case Weight.Dense(Parameter p) ->
                    p.value().isContiguous()
                            && Kernels.current().denseProduct().takes(compute, rows);
        };
    }

    /**
     * Adds up the gradients of A and B.
     *
     * @param x [n, in]
     * @param hidden A(x) [n, rank]
     * @return gradient of the hidden rows [n, rank]
     */
    static Tensor backwardFactors(
            LoraFactors lora, long @Nullable [] dropoutKeys, Tensor x, Tensor hidden, Tensor dy) {
        Tensor dHidden = dy.mm(lora.b().value()).mulInPlace(lora.scale());
        if (lora.b().trainable()) {
            addNarrowProduct(lora.b().grad(), dy, hidden, lora.scale());
        }
        if (lora.a().trainable()) {
            addProduct(lora.a().grad(), dHidden.t(), drop(x, lora, dropoutKeys), 1);
        }
        return dHidden;
    }

    /** Adds what reaches x through A. */
    static void addThroughA(
            LoraFactors lora, long @Nullable [] dropoutKeys, Tensor dHidden, Tensor dx) {
        if (dropoutKeys == null) {
            dx.addmmInPlace(dHidden, lora.a().value(), 1, 1);
        } else {
            Tensor mask = Dropout.mask(dropoutKeys, lora.dropout(), dx.dtype(), dx.shape());
            dx.addcmulInPlace(dHidden.mm(lora.a().value()), mask, 1);
        }
    }

    private static Tensor inputGradient(
            Tensor dy,
            Weight weight,
            @Nullable LoraFactors lora,
            long @Nullable [] dropoutKeys,
            @Nullable Tensor dHidden) {
        DType compute = dy.dtype();
        Tensor w = weight.dense(compute);
        if (lora == null || dHidden == null) {
            return dy.mm(w);
        }
        if (dropoutKeys == null && compute == DType.F32) { // the update first, as forward
            return dHidden.mm(lora.a().value()).addmmInPlace(dy, w, 1, 1);
        }
        Tensor dx = dy.mm(w);
        addThroughA(lora, dropoutKeys, dHidden, dx);
        return dx;
    }

    /**
     * {@code sum += scale * dyᵀ · hidden}, for a hidden of few columns. In f32 the transpose is
     * made and turned, of which OpenBLAS makes 2.5 times as much a second.
     */
    private static void addNarrowProduct(Tensor sum, Tensor dy, Tensor hidden, double scale) {
        if (dy.dtype() == DType.F32) {
            sum.addInPlace(hidden.t().mm(dy).t(), scale);
        } else {
            addProduct(sum, dy.t(), hidden, scale);
        }
    }

    static Tensor drop(Tensor rows, LoraFactors lora, long @Nullable [] dropoutKeys) {
        return dropoutKeys == null
                ? rows
                : rows.times(Dropout.mask(dropoutKeys, lora.dropout(), rows.dtype(), rows.shape()));
    }

    /** {@code sum += scale * a · b}, with the product in the compute dtype and the sum in f32. */
    static void addProduct(Tensor sum, Tensor a, Tensor b, double scale) {
        if (a.dtype() == sum.dtype()) {
            sum.addmmInPlace(a, b, 1, scale);
        } else {
            sum.addInPlace(a.mm(b), scale);
        }
    }
}
