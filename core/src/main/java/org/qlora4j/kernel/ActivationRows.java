package org.qlora4j.kernel;

import org.qlora4j.tensor.Tensor;

/**
 * An {@link Activation} and its gradient in one walk over the memory. It is computed in f32 (f64
 * for F64) and rounded once, as libtorch does. All tensors of a call are contiguous and of one type
 * and number of elements.
 */
public sealed interface ActivationRows
        permits MetaKernels, ReferenceActivationRows, VectorActivationRows {
    /**
     * {@code y = f(x)}.
     *
     * @param y written; may be x
     */
    void forward(Activation f, Tensor x, Tensor y);

    /**
     * {@code dx = dy · f'(x)}; the gradient of ReLU at 0 is 0.
     *
     * @param dx written; may be dy
     */
    void backward(Activation f, Tensor x, Tensor dy, Tensor dx);
}
