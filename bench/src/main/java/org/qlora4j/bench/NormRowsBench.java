package org.qlora4j.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.qlora4j.kernel.NormRows;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * {@link NormRows}: RMSNorm of hidden states and its gradient. Elements are values of the hidden
 * states.
 */
public class NormRowsBench extends TwinBench {
    private static final double EPS = 1e-5;

    @Param({"1", "512"})
    public int rows = 512;

    @Param({"0", "1"})
    public float shift;

    private NormRows kernel;
    private Tensor x;
    private Tensor weight;
    private Tensor dy;
    private Tensor y;
    private Tensor dx;
    private Tensor inverse;

    @Override
    void prepare() {
        kernel = timed.norm();
        NormRows judge = reference.norm();
        int hidden = shape.hidden();
        x = normal(1, 1, rows, hidden);
        weight = normal(2, 1, hidden);
        dy = normal(3, 1, rows, hidden);
        y = unwritten(rows, hidden);
        dx = unwritten(rows, hidden);
        inverse = Tensors.full(Double.NaN, dtype.wide(), rows);

        Tensor expected = unwritten(rows, hidden);
        Tensor expectedInverse = Tensors.empty(dtype.wide(), rows);
        kernel.forward(x, weight, shift, EPS, y, inverse);
        judge.forward(x, weight, shift, EPS, expected, expectedInverse);
        Answer.requireClose("y", y, expected, tolerance());
        Answer.requireClose("inverse", inverse, expectedInverse, 1e-5);
        kernel.backward(x, weight, shift, inverse, dy, dx);
        judge.backward(x, weight, shift, expectedInverse, dy, expected);
        Answer.requireClose("dx", dx, expected, tolerance());
    }

    @Benchmark
    public void forward(Work work) {
        kernel.forward(x, weight, shift, EPS, y, inverse);
        work.add(x.count(), bytes(x, weight, y, inverse));
    }

    @Benchmark
    public void backward(Work work) {
        kernel.backward(x, weight, shift, inverse, dy, dx);
        work.add(x.count(), bytes(x, weight, inverse, dy, dx));
    }
}
