package org.qlora4j.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.qlora4j.kernel.LayerNormRows;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * {@link LayerNormRows}: LayerNorm of hidden states and its gradient. Elements are values of the
 * hidden states.
 */
public class LayerNormRowsBench extends TwinBench {
    private static final double EPS = 1e-5;

    @Param({"1", "512"})
    public int rows = 512;

    private LayerNormRows kernel;
    private Tensor x;
    private Tensor weight;
    private Tensor bias;
    private Tensor dy;
    private Tensor y;
    private Tensor dx;
    private Tensor statistics;

    @Override
    void prepare() {
        kernel = timed.layerNorm();
        LayerNormRows judge = reference.layerNorm();
        int hidden = shape.hidden();
        x = normal(1, 1, rows, hidden);
        weight = normal(2, 1, hidden);
        bias = normal(3, 1, hidden);
        dy = normal(4, 1, rows, hidden);
        y = unwritten(rows, hidden);
        dx = unwritten(rows, hidden);
        statistics = Tensors.full(Double.NaN, dtype.wide(), 2, rows);

        Tensor expected = unwritten(rows, hidden);
        Tensor expectedStatistics = Tensors.empty(dtype.wide(), 2, rows);
        kernel.forward(x, weight, bias, EPS, y, statistics);
        judge.forward(x, weight, bias, EPS, expected, expectedStatistics);
        Answer.requireClose("y", y, expected, tolerance());
        Answer.requireClose("statistics", statistics, expectedStatistics, 1e-5);
        kernel.backward(x, weight, statistics, dy, dx);
        judge.backward(x, weight, expectedStatistics, dy, expected);
        Answer.requireClose("dx", dx, expected, tolerance());
    }

    @Benchmark
    public void forward(Work work) {
        kernel.forward(x, weight, bias, EPS, y, statistics);
        work.add(x.count(), bytes(x, weight, bias, y, statistics));
    }

    @Benchmark
    public void backward(Work work) {
        kernel.backward(x, weight, statistics, dy, dx);
        work.add(x.count(), bytes(x, weight, statistics, dy, dx));
    }
}
