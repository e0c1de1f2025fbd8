package org.qlora4j.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.qlora4j.kernel.ElementRows;
import org.qlora4j.kernel.Gate;
import org.qlora4j.tensor.Tensor;

/**
 * {@link ElementRows}: a residual sum and the MLP's gate. Elements are values of the result, as
 * wide as the MLP for both.
 */
public class ElementRowsBench extends TwinBench {
    @Param({"1", "512"})
    public int rows = 512;

    @Param({"SILU", "GELU_TANH"})
    public Gate function = Gate.SILU;

    private ElementRows kernel;
    private Tensor a;
    private Tensor b;
    private Tensor out;

    @Override
    void prepare() {
        kernel = timed.elements();
        a = normal(1, 4, rows, shape.intermediate());
        b = normal(2, 1, rows, shape.intermediate());
        out = unwritten(a.shape());
        Tensor expected = unwritten(a.shape());
        kernel.add(a, b, out);
        reference.elements().add(a, b, expected);
        Answer.requireSame("sum", out, expected);
        kernel.gate(function, a, b, out);
        reference.elements().gate(function, a, b, expected);
        Answer.requireClose("gate", out, expected, tolerance());
    }

    @Benchmark
    public void add(Work work) {
        kernel.add(a, b, out);
        work.add(out.count(), bytes(a, b, out));
    }

    @Benchmark
    public void gate(Work work) {
        kernel.gate(function, a, b, out);
        work.add(out.count(), bytes(a, b, out));
    }
}
