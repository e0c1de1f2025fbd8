package org.qlora4j.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.qlora4j.kernel.RowInt8;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/** {@link RowInt8}: activations rounded to 8 bits, and a weight decoded. Elements are values. */
public class RowInt8Bench extends TwinBench {
    @Param({"1", "512"})
    public int rows = 512;

    private RowInt8 kernel;
    private Tensor x;
    private Tensor rounded;
    private Tensor codes;
    private Tensor scales;
    private Tensor weight;

    @Override
    void prepare() {
        kernel = timed.rowInt8();
        x = normal(1, 2, rows, shape.hidden());
        rounded = unwritten(x.shape());
        Tensor expected = unwritten(x.shape());
        kernel.round(x, 6, rounded);
        reference.rowInt8().round(x, 6, expected);
        Answer.requireClose("rounded", rounded, expected, tolerance());
        codes = normal(2, 40, shape.intermediate(), shape.hidden()).to(DType.I8);
        scales = normal(3, 1, shape.intermediate()).to(DType.F32).abs();
        weight = unwritten(codes.shape());
        Tensor decoded = unwritten(codes.shape());
        kernel.decode(codes, scales, weight);
        reference.rowInt8().decode(codes, scales, decoded);
        Answer.requireClose("weight", weight, decoded, tolerance());
    }

    @Benchmark
    public void round(Work work) {
        kernel.round(x, 6, rounded);
        work.add(x.count(), bytes(x, rounded));
    }

    @Benchmark
    public void decode(Work work) {
        kernel.decode(codes, scales, weight);
        work.add(weight.count(), bytes(codes, scales, weight));
    }
}
