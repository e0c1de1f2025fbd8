package org.qlora4j.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.qlora4j.kernel.Activation;
import org.qlora4j.kernel.ActivationRows;
import org.qlora4j.tensor.Tensor;

/** {@link ActivationRows}: the function of a plain MLP. Elements are values, as wide as the MLP. */
public class ActivationRowsBench extends TwinBench {
    @Param({"1", "512"})
    public int rows = 512;

    @Param({"GELU", "GELU_TANH", "RELU"})
    public Activation function = Activation.GELU;

    private ActivationRows kernel;
    private Tensor x;
    private Tensor dy;
    private Tensor out;

    @Override
    void prepare() {
        kernel = timed.activations();
        x = normal(1, 4, rows, shape.intermediate());
        dy = normal(2, 1, rows, shape.intermediate());
        out = unwritten(x.shape());
        Tensor expected = unwritten(x.shape());
        kernel.forward(function, x, out);
        reference.activations().forward(function, x, expected);
        Answer.requireClose("y", out, expected, tolerance());
        kernel.backward(function, x, dy, out);
        reference.activations().backward(function, x, dy, expected);
        Answer.requireClose("dx", out, expected, tolerance());
    }

    @Benchmark
    public void forward(Work work) {
        kernel.forward(function, x, out);
        work.add(out.count(), bytes(x, out));
    }

    @Benchmark
    public void backward(Work work) {
        kernel.backward(function, x, dy, out);
        work.add(out.count(), bytes(x, dy, out));
    }
}
