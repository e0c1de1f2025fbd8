package org.qlora4j.autograd;

import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * A value on a {@link Tape}, and the gradient that reaches it in the backward pass. The tape owns
 * both.
 *
 * @see Tape
 */
public final class Var {
    private final Tensor value;
    private final boolean needsGrad;
    private @Nullable Tensor grad;
    private boolean gradIsShared;

    Var(Tensor value, boolean needsGrad) {
        this.value = value;
        this.needsGrad = needsGrad;
    }

    /**
     * The value; gone once the backward pass of the operation that made it has run, or its block
     * has ended.
     */
    public Tensor value() {
        return value;
    }

    /** Whether a gradient is wanted for this value. */
    public boolean needsGrad() {
        return needsGrad;
    }

    /**
     * Adds a gradient of the value's shape, if one is wanted. Takes a temporary of the innermost
     * scope over: the caller must not change it, nor have others hold its memory.
     */
    void accumulate(Tensor gradient) {
        if (!needsGrad) {
            return;
        }
        Tensor sum = grad;
        if (sum == null) {
            grad = TensorScope.release(gradient);
        } else if (gradIsShared) {
            grad = TensorScope.release(sum.plus(gradient));
            sum.close();
        } else {
            sum.addInPlace(gradient);
        }
        gradIsShared = false;
    }

    /** As {@link #accumulate}, for a tensor that others go on using. */
    void accumulateShared(Tensor gradient) {
        if (needsGrad && grad == null) {
            grad = TensorScope.release(gradient.alias());
            gradIsShared = true;
        } else {
            boolean shared = gradIsShared;
            accumulate(gradient);
            gradIsShared = shared && gradIsShared;
        }
    }

    /**
     * Adds a gradient of a part of the value, if one is wanted; the rest gets nothing by it.
     *
     * @param dtype of the value, which may be gone
     * @param shape of the value
     * @param part picks the part of a tensor of the value's shape, as a view
     * @param gradient of the part's shape; stays the caller's
     */
    void accumulatePart(DType dtype, long[] shape, UnaryOperator<Tensor> part, Tensor gradient) {
        if (!needsGrad) {
            return;
        }
        Tensor sum = grad;
        if (sum == null || gradIsShared) {
            Tensor own = sum == null ? Tensors.zeros(dtype, shape) : sum.copy();
            if (sum != null) {
                sum.close();
            }
            sum = own;
            grad = TensorScope.release(own);
            gradIsShared = false;
        }
        part.apply(sum).addInPlace(gradient);
    }

    /** Hands the gradient to the caller, who closes it; null if none has come. */
    public @Nullable Tensor takeGrad() {
        Tensor taken = grad;
        grad = null;
        return taken;
    }

    /** Adds this value's gradient to that of another value of the same shape. */
    void shareGradWith(Var other) {
        if (grad != null) {
            other.accumulateShared(grad);
        }
    }

    /** Frees the gradient, if one has come. */
    public void closeGrad() {
        Tensor taken = takeGrad();
        if (taken != null) {
            taken.close();
        }
    }
}
