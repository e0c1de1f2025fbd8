package org.qlora4j.kernel;

import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/** {@link ActivationRows} in libtorch operations. */
record ReferenceActivationRows() implements ActivationRows {
    @Override
    public void forward(Activation f, Tensor x, Tensor y) {
        try (TensorScope scope = TensorScope.open()) {
            y.copyFrom(
                    switch (f) {
                        case GELU -> x.gelu();
                        case GELU_TANH -> x.geluTanh();
                        case RELU -> x.relu();
                    });
        }
    }

    @Override
    public void backward(Activation f, Tensor x, Tensor dy, Tensor dx) {
        try (TensorScope scope = TensorScope.open()) {
            dx.copyFrom(
                    switch (f) {
                        case GELU -> dy.geluBackward(x);
                        case GELU_TANH -> dy.geluTanhBackward(x);
                        case RELU -> dy.reluBackward(x);
                    });
        }
    }
}
