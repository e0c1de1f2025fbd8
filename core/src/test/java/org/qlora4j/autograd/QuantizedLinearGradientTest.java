package org.qlora4j.autograd;

import static org.qlora4j.autograd.OperationCase.shape;
import static org.qlora4j.autograd.OperationCase.weight;

import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.pytorch.global.torch;
import org.qlora4j.autograd.OperationCase.Shape;
import org.qlora4j.kernel.BlockDecoder;
import org.qlora4j.kernel.BlockType;
import org.qlora4j.quant.BlockMatrix;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Raw;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** {@link Linear} on a frozen weight in few bits with a trained update: QLoRA itself. */
class QuantizedLinearGradientTest implements GradientSuite {
    static Stream<OperationCase> cases() {
        return Stream.of(
                quantized("nf4, a model's sizes", QuantType.NF4, true, 1, 257, 576, 192),
                quantized("nf4, blocks across rows", QuantType.NF4, false, 2, 3, 50, 9),
                quantized("fp4", QuantType.FP4, true, 1, 7, 64, 33),
                blocks(BlockType.Q8_0, 1, 257, 96, 33),
                blocks(BlockType.Q5_0, 2, 3, 64, 9),
                blocks(BlockType.Q4_K, 1, 7, 512, 33),
                blocks(BlockType.Q6_K, 1, 3, 256, 17));
    }

    /** A weight in the blocks of a GGUF file, of which any bytes are one. */
    private static OperationCase blocks(BlockType type, long batch, long time, long in, long out) {
        return new OperationCase(
                "blocks of " + type,
                4,
                List.of(shape(batch, time, in)),
                List.of(weight(3, in), weight(out, 3)),
                run -> {
                    DequantizationBuffer buffer = run.own(new DequantizationBuffer());
                    Weight frozen = run.own(new Weight.Blocks(anyBlocks(type, out, in), buffer));
                    return Linear.apply(
                            run.tape, run.x(0), frozen, null, LinearGradientTest.factors(run));
                },
                (x, p) -> {
                    try (BlockMatrix matrix = anyBlocks(type, out, in)) {
                        float[] values = new float[(int) (out * in)];
                        byte[] bytes = bytes(type, out, in);
                        BlockDecoder.decode(type, bytes, values.length, values);
                        Tensor frozen = Tensors.of(values, matrix.shape()).to(DType.F64);
                        return torch.linear(x[0], Raw.of(frozen))
                                .add(LinearGradientTest.update(x[0], p));
                    }
                });
    }

    private static BlockMatrix anyBlocks(BlockType type, long out, long in) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor blocks = Tensors.of(bytes(type, out, in), out, type.bytes(in));
            return new BlockMatrix(type, new long[] {out, in}, blocks);
        }
    }

    /** Bytes of which two are an fp16 number below 0.01. */
    private static byte[] bytes(BlockType type, long out, long in) {
        Random random = new Random(4);
        byte[] bytes = new byte[(int) (out * type.bytes(in))];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) random.nextInt(32);
        }
        return bytes;
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
