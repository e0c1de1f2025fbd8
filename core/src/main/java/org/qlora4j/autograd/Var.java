package org.qlora4j.autograd;

import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

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

    /** Hands the gradient to the caller, who closes it; null if none has come. */
    @Nullable Tensor takeGrad() {
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
    void closeGrad() {
        Tensor taken = takeGrad();
        if (taken != null) {
            taken.close();
        }
    }
}
