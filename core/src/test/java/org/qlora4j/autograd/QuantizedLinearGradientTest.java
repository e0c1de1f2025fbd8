package org.qlora4j.autograd;

import static org.qlora4j.autograd.OperationCase.shape;
import static org.qlora4j.autograd.OperationCase.weight;

import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.global.torch;
import org.qlora4j.autograd.OperationCase.Shape;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Raw;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/** {@link Linear} on a frozen 4-bit weight with a trained update: QLoRA itself. */
class QuantizedLinearGradientTest implements GradientSuite {
    static Stream<OperationCase> cases() {
        return Stream.of(
                quantized("nf4, a model's sizes", QuantType.NF4, true, 1, 257, 576, 192),
                quantized("nf4, blocks across rows", QuantType.NF4, false, 2, 3, 50, 9),
                quantized("fp4", QuantType.FP4, true, 1, 7, 64, 33));
    }

    private static OperationCase quantized(
            String name, QuantType type, boolean nested, long batch, long time, long in, long out) {
        Shape shape = weight(out, in);
        QuantConfig config = new QuantConfig(true, type, nested, 64);
        return new OperationCase(
                name,
                4,
                List.of(shape(batch, time, in)),
                List.of(weight(3, in), weight(out, 3)),
                run -> {
                    DequantizationBuffer buffer = run.own(new DequantizationBuffer());
                    Weight frozen = run.own(new Weight.Quantized(matrix(shape, config), buffer));
                    return Linear.apply(
                            run.tape, run.x(0), frozen, null, LinearGradientTest.factors(run));
                },
                (x, p) -> {
                    try (QuantizedMatrix matrix = matrix(shape, config)) {
                        Tensor frozen = matrix.dequantize(DType.F32).to(DType.F64);
                        return torch.linear(x[0], Raw.of(frozen))
                                .add(LinearGradientTest.update(x[0], p));
                    }
                });
    }

    private static QuantizedMatrix matrix(Shape shape, QuantConfig config) {
        try (TensorScope scope = TensorScope.open()) {
            return QuantizedMatrix.quantize(
                    LinearGradientTest.bf16Weight(shape, DType.F32), config);
        }
    }
}
