package org.qlora4j.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.qlora4j.kernel.BlockScales;
import org.qlora4j.kernel.CodeTable;
import org.qlora4j.kernel.FourBit;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * {@link FourBit}: a weight to NF4 and, with double quantization, back to the compute dtype.
 * Elements are weights.
 */
public class FourBitBench extends TwinBench {
    private static final QuantConfig CONFIG = QuantConfig.DEFAULT;
    private static final CodeTable TABLE = CONFIG.type().table();

    @Param({"q_proj", "gate_proj"})
    public String linear = "q_proj";

    private FourBit kernel;
    private QuantizedMatrix matrix;
    private Tensor weight;
    private Tensor codes;
    private Tensor absmax;
    private Tensor decoded;

    @Override
    void prepare() {
        kernel = timed.fourBit();
        int[] features = shape.linear(linear);
        weight = normal(1, 0.02, features[0], features[1]);
        matrix = QuantizedMatrix.quantize(weight, CONFIG);
        codes = Tensors.empty(DType.U8, weight.count() / 2);
        absmax = Tensors.full(Double.NaN, DType.F32, weight.count() / CONFIG.blockSize());
        decoded = unwritten(features[0], features[1]);

        Tensor expectedCodes = Tensors.empty(DType.U8, codes.shape());
        Tensor expectedAbsmax = Tensors.empty(DType.F32, absmax.shape());
        Tensor expected = Tensors.empty(dtype, decoded.shape());
        quantize(kernel, codes, absmax);
        quantize(reference.fourBit(), expectedCodes, expectedAbsmax);
        Answer.requireSame("codes", codes, expectedCodes);
        Answer.requireSame("absmax", absmax, expectedAbsmax);
        dequantize(kernel, decoded);
        dequantize(reference.fourBit(), expected);
        Answer.requireSame("weights", decoded, expected);
    }

    @Override
    void free() {
        matrix.close();
    }

    private void quantize(FourBit by, Tensor codesOut, Tensor absmaxOut) {
        by.quantize(weight, TABLE, CONFIG.blockSize(), codesOut, absmaxOut);
    }

    private void dequantize(FourBit by, Tensor out) {
        BlockScales scales = matrix.scales();
        by.dequantize(matrix.codes(), scales, TABLE, CONFIG.blockSize(), out);
    }

    @Benchmark
    public void quantize(Work work) {
        quantize(kernel, codes, absmax);
        work.add(weight.count(), bytes(weight, codes, absmax));
    }

    @Benchmark
    public void dequantize(Work work) {
        dequantize(kernel, decoded);
        work.add(weight.count(), matrix.byteSize() + bytes(decoded));
    }
}
