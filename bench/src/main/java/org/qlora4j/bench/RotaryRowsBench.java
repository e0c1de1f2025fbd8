package org.qlora4j.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.qlora4j.kernel.RotaryRows;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/** {@link RotaryRows}: the queries of one sequence. Elements are values of the queries. */
public class RotaryRowsBench extends TwinBench {
    @Param({"1", "512"})
    public int rows = 512;

    private RotaryRows kernel;
    private Tensor x;
    private Tensor cos;
    private Tensor sin;
    private Tensor out;

    @Override
    void prepare() {
        kernel = timed.rotary();
        int half = ModelShape.HEAD_DIM / 2;
        x = normal(1, 1, 1, rows, shape.heads(), ModelShape.HEAD_DIM);
        Tensor angles = Tensors.normal(2, 3, 1, rows, 1, half);
        cos = angles.cos();
        sin = angles.sin();
        out = unwritten(x.shape());
        for (int direction : new int[] {-1, 1}) {
            Tensor expected = unwritten(x.shape());
            kernel.rotate(x, cos, sin, direction, out);
            reference.rotary().rotate(x, cos, sin, direction, expected);
            Answer.requireClose("direction " + direction, out, expected, tolerance());
        }
    }

    @Benchmark
    public void rotate(Work work) {
        kernel.rotate(x, cos, sin, 1, out);
        work.add(x.count(), bytes(x, cos, sin, out));
    }
}
