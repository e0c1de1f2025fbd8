package org.qlora4j.autograd;

import static org.qlora4j.autograd.LinearGradientTest.bf16Weight;
import static org.qlora4j.autograd.OperationCase.shape;
import static org.qlora4j.autograd.OperationCase.weight;

import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.autograd.OperationCase.Shape;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Raw;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/**
 * DoRA against PEFT's formula in libtorch. Without central differences: its gradient sees the norm
 * as a constant, which it is not.
 */
class DoraLinearGradientTest implements GradientSuite {
    private static final double SCALE = 0.5;

    static Stream<OperationCase> cases() {
        return Stream.concat(
                casesWithoutDropout(), Stream.of(dora("rank 4, dropout", 2, 5, 24, 18, 4, 0.25)));
    }

    static Stream<OperationCase> casesWithoutDropout() {
        return Stream.of(
                dora("rank 1", 2, 1, 12, 20, 1, 0),
                dora("rank 3", 1, 7, 30, 11, 3, 0),
                dora("a model's sizes, rank 16", 2, 50, 192, 576, 16, 0));
    }

    /** Dropout is for training alone: with it the values differ by design. */
    @Override
    @ParameterizedTest(name = "{0}")
    @MethodSource("casesWithoutDropout")
    public void withoutRecording_givesTheSameValueAndKeepsNothing(OperationCase c) {
        GradientSuite.super.withoutRecording_givesTheSameValueAndKeepsNothing(c);
    }

    /** A frozen dense weight with trained A, B and m. */
    private static OperationCase dora(
            String name, long batch, long time, long in, long out, long rank, double dropout) {
        Shape shape = weight(out, in);
        return new OperationCase(
                "dora, " + name,
                4,
                List.of(shape(batch, time, in)),
                List.of(weight(rank, in), weight(out, rank), shape(out)),
                run -> {
                    Tensor w = TensorScope.release(bf16Weight(shape, run.dtype));
                    Weight frozen = run.own(new Weight.Dense(Parameter.frozen("w", w)));
                    LoraFactors lora = new LoraFactors(run.p(0), run.p(1), SCALE, dropout);
                    DoraFactors update = run.own(new DoraFactors(lora, run.p(2)));
                    return DoraLinear.apply(run.tape, run.x(0), frozen, null, update);
                },
                (x, p) -> {
                    var w = Raw.of(bf16Weight(shape, DType.F64));
                    var dropped = x[0];
                    if (dropout > 0) { // the first mask of the suite's tape, whose key is 7
                        long key = Dropout.mix(7 + Dropout.mix(1));
                        Tensor mask =
                                Dropout.mask(
                                        new long[] {key}, dropout, DType.F64, batch * time, in);
                        dropped = x[0].mul(Raw.of(mask.view(batch, time, in)));
                    }
                    var sum = w.add(p[1].mm(p[0]).mul(new Scalar(SCALE)));
                    var norm =
                            sum.mul(sum)
                                    .sum(new long[] {1}, false, new ScalarTypeOptional())
                                    .sqrt()
                                    .detach();
                    var ratio = p[2].div(norm);
                    var low =
                            torch.linear(torch.linear(dropped, p[0]), p[1]).mul(new Scalar(SCALE));
                    return torch.linear(x[0], w)
                            .add(torch.linear(dropped, w).mul(ratio.sub(new Scalar(1.0))))
                            .add(low.mul(ratio));
                });
    }
}
