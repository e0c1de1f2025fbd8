package org.qlora4j.autograd;

import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * A frozen linear layer with a DoRA update (arXiv 2402.09353), as PEFT computes it: {@code y = x·Wᵀ
 * + s·B(A(d)) + (m / n - 1)·(d·Wᵀ + s·B(A(d))) + bias}, where d is x after dropout and n the norm
 * of each row of {@code W + s·BA}.
 *
 * <p>Written with {@code m / n - 1}, which is small, so that bf16 loses little of what m has
 * learnt.
 */
public final class DoraLinear {
    private DoraLinear() {}

    /**
     * @param x [..., in] in the compute dtype
     * @param weight frozen
     * @param bias [out], frozen, or null
     * @return [..., out]
     */
    public static Var apply(
            Tape tape, Var x, Weight weight, @Nullable Parameter bias, DoraFactors update) {
        LoraFactors lora = update.lora();
        return tape.operation(
                "doraLinear",
                x.needsGrad() || update.trainable(),
                call -> {
                    Tensor input = call.save(x.value());
                    DType compute = input.dtype();
                    long[] shape = input.shape();
                    Tensor stretch = update.stretch(weight, compute);
                    if (!tape.dropsOut()) {
                        Tensor y = Linear.fewRows(call, input, weight, null, lora);
                        if (y != null) {
                            y.addcmulInPlace(y, stretch, 1);
                            return bias == null ? y : y.addInPlace(bias.value());
                        }
                    }
                    Tensor rows = input.reshape(-1, weight.in());
                    long @Nullable [] keys =
                            lora.dropout() > 0 && tape.dropsOut() ? tape.nextDropoutKeys() : null;
                    Tensor dropped = Linear.drop(rows, lora, keys);
                    Tensor hidden = call.save(dropped.mm(lora.a().value().t())); // [n, rank]
                    Tensor y = weight.input(rows).linear(weight.dense(compute), null);
                    y.addmmInPlace(hidden, lora.b().value().t(), 1, lora.scale());
                    Tensor whole = // d times the layer's weight and the update together
                            keys == null
                                    ? y.copy()
                                    : weight.input(dropped)
                                            .linear(weight.dense(compute), null)
                                            .addmmInPlace(
                                                    hidden, lora.b().value().t(), 1, lora.scale());
                    y.addcmulInPlace(whole, stretch, 1);
                    if (bias != null) {
                        y.addInPlace(bias.value());
                    }
                    Tensor savedWhole = call.save(whole);
                    Tensor savedStretch = call.save(stretch);
                    call.backward(gradient -> {
                        Tensor dy = gradient.reshape(-1, weight.out());
                        Tensor saved = input.reshape(-1, weight.in());
                        if (update.magnitude().trainable()) {
                            DType wide = compute.wide();
                            Tensor along = dy.to(wide).times(savedWhole).sum(0, false);
                            Tensor n = update.norms(weight, compute);
                            update.magnitude().grad().addInPlace(along.dividedBy(n));
                        }
                        Tensor stretched = dy.times(savedStretch);
                        Tensor scaled = dy.plus(stretched); // gradient of the whole low-rank part
                        Tensor dx = null;
                        if (x.needsGrad()) {
                            Tensor dense = weight.dense(compute);
                            dx =
                                    keys == null
                                            ? scaled.mm(dense)
                                            : dy.mm(dense)
                                                    .addcmulInPlace(
                                                            stretched.mm(dense),
                                                            Dropout.mask(
                                                                    keys,
                                                                    lora.dropout(),
                                                                    compute,
                                                                    saved.shape()),
                                                            1);
                        }
                        Tensor dHidden = Linear.backwardFactors(lora, keys, saved, hidden, scaled);
                        if (dx != null) {
                            Linear.addThroughA(lora, keys, dHidden, dx);
                            x.accumulate(dx.view(shape));
                        }
                    });
                    long[] outShape = shape.clone();
                    outShape[shape.length - 1] = weight.out();
                    return y.view(outShape);
                });
    }
}
