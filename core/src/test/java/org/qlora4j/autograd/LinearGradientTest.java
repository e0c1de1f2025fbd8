package org.qlora4j.autograd;

import static org.qlora4j.autograd.OperationCase.shape;
import static org.qlora4j.autograd.OperationCase.weight;

import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.qlora4j.autograd.OperationCase.Run;
import org.qlora4j.autograd.OperationCase.Shape;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Raw;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Samples;

class LinearGradientTest implements F64GradientSuite {
    private static final double SCALE = 0.5;

    static Stream<OperationCase> cases() {
        return Stream.of(
                dense("one value", 1, 1, 1, 1),
                dense("odd sizes", 2, 7, 13, 5),
                dense("a model's sizes", 1, 257, 576, 192),
                bias("bias", 3, 7, 10, 6),
                lora("rank 1", 2, 1, 12, 20, 1),
                lora("rank 3", 1, 7, 30, 11, 3),
                lora("a model's sizes, rank 16", 2, 150, 576, 576, 16));
    }

    private static OperationCase dense(String name, long batch, long time, long in, long out) {
        return new OperationCase(
                "dense, " + name,
                1,
                List.of(shape(batch, time, in)),
                List.of(weight(out, in)),
                run -> Linear.apply(run.tape, run.x(0), new Weight.Dense(run.p(0)), null, null),
                (x, p) -> torch.linear(x[0], p[0]));
    }

    private static OperationCase bias(String name, long batch, long time, long in, long out) {
        return new OperationCase(
                name,
                2,
                List.of(shape(batch, time, in)),
                List.of(weight(out, in), shape(out)),
                run -> Linear.apply(run.tape, run.x(0), new Weight.Dense(run.p(0)), run.p(1), null),
                (x, p) -> torch.linear(x[0], p[0]).add(p[1]));
    }

    /** A frozen dense weight with a trained bias and a trained update. */
    private static OperationCase lora(
            String name, long batch, long time, long in, long out, long rank) {
        Shape shape = weight(out, in);
        return new OperationCase(
                "lora, " + name,
                3,
                List.of(shape(batch, time, in)),
                List.of(weight(rank, in), weight(out, rank), shape(out)),
                run -> {
                    Tensor w = TensorScope.release(bf16Weight(shape, run.dtype));
                    Weight frozen = run.own(new Weight.Dense(Parameter.frozen("w", w)));
                    return Linear.apply(run.tape, run.x(0), frozen, run.p(2), factors(run));
                },
                (x, p) ->
                        torch.linear(x[0], Raw.of(bf16Weight(shape, DType.F64)))
                                .add(p[2])
                                .add(update(x[0], p)));
    }

    static LoraFactors factors(Run run) {
        return new LoraFactors(run.p(0), run.p(1), SCALE, 0);
    }

    static org.bytedeco.pytorch.Tensor update(
            org.bytedeco.pytorch.Tensor x, org.bytedeco.pytorch.Tensor[] p) {
        return torch.linear(torch.linear(x, p[0]), p[1]).mul(new Scalar(SCALE));
    }

    /** Random values that every type holds exactly, so that ours and the judge see the same. */
    static Tensor bf16Weight(Shape shape, DType dtype) {
        try (TensorScope scope = TensorScope.open()) {
            return scope.promote(
                    Samples.normal(DType.F32, 77, shape.sizes())
                            .times(shape.deviation())
                            .to(DType.BF16)
                            .to(dtype));
        }
    }
}
