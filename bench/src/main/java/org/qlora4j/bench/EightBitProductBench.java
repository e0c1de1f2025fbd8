package org.qlora4j.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.qlora4j.kernel.EightBitProduct;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * {@link EightBitProduct}: few rows times the head in 8 bits. Elements are weights, each once
 * whatever the rows.
 */
public class EightBitProductBench extends TwinBench {
    @Param("1")
    public int rows = 1;

    private EightBitProduct kernel;
    private Tensor x;
    private Tensor codes;
    private Tensor scales;
    private Tensor y;

    @Override
    void prepare() {
        kernel = timed.eightBitProduct();
        int[] features = shape.linear("lm_head");
        int out = features[0];
        int in = features[1];
        x = normal(1, 1, rows, in);
        codes = Tensors.normal(2, 30, out, in).to(DType.I8);
        scales = Tensors.normal(3, 1e-3, out, in / EightBitProduct.BLOCK).abs();
        y = Tensors.full(Double.NaN, DType.F32, rows, out);
        Tensor expected = Tensors.empty(DType.F32, y.shape());
        kernel.multiply(x, codes, scales, y);
        reference.eightBitProduct().multiply(x, codes, scales, expected);
        Answer.requireClose("product", y, expected, 2e-6); // sums in another order
    }

    @Benchmark
    public void multiply(Work work) {
        kernel.multiply(x, codes, scales, y);
        work.add(codes.count(), bytes(x, codes, scales, y));
    }
}
