package org.qlora4j.kernel;

import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/** {@link ElementRows} in libtorch operations. */
record ReferenceElementRows() implements ElementRows {
    @Override
    public void add(Tensor a, Tensor b, Tensor out) {
        try (TensorScope scope = TensorScope.open()) {
            out.copyFrom(a.plus(b));
        }
    }

    @Override
    public void gate(Gate f, Tensor gate, Tensor up, Tensor out) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor open =
                    switch (f) {
                        case SILU -> gate.silu();
                        case GELU_TANH -> gate.geluTanh();
                    };
            out.copyFrom(open.mulInPlace(up));
        }
    }
}
