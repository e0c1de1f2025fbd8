package org.qlora4j.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.qlora4j.kernel.FourBitProduct;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.Tensor;

/**
 * {@link FourBitProduct}: few rows times a weight in NF4 with double quantization. Elements are
 * weights, each once whatever the rows.
 */
public class FourBitProductBench extends TwinBench {
    private static final QuantConfig CONFIG = QuantConfig.DEFAULT;

    @Param({"q_proj", "gate_proj", "down_proj"})
    public String linear = "q_proj";

    @Param("1")
    public int rows = 1;

    /** What rounding x to whole numbers may change, beside a step of the dtype. */
    private static final double WHOLE = 2e-4;

    private FourBitProduct kernel;
    private QuantizedMatrix matrix;
    private Tensor x;
    private Tensor y;

    @Override
    void prepare() {
        kernel = timed.fourBitProduct();
        int[] features = shape.linear(linear);
        matrix = QuantizedMatrix.quantize(normal(1, 0.02, features[0], features[1]), CONFIG);
        x = normal(2, 1, rows, features[1]);
        y = unwritten(rows, features[0]);
        Tensor expected = unwritten(rows, features[0]);
        multiply(kernel, y);
        multiply(reference.fourBitProduct(), expected);
        Answer.requireClose("product", y, expected, 2 * tolerance() + WHOLE);
    }

    @Override
    void free() {
        matrix.close();
    }

    private void multiply(FourBitProduct by, Tensor out) {
        by.multiply(
                x, matrix.codes(), matrix.scales(), CONFIG.type().table(), CONFIG.blockSize(), out);
    }

    @Benchmark
    public void multiply(Work work) {
        multiply(kernel, y);
        work.add(matrix.count(), matrix.byteSize() + bytes(x, y));
    }
}
