package org.qlora4j.autograd;

import static org.qlora4j.autograd.OperationCase.shape;

import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.global.torch;
import org.qlora4j.kernel.Gate;

/** {@link Add} and {@link GatedMlp}. */
class ElementwiseGradientTest implements F64GradientSuite {
    static Stream<OperationCase> cases() {
        return Stream.of(
                add("add, one value", 1, 1, 1),
                add("add, odd sizes", 3, 7, 13),
                add("add, a model's sizes", 1, 300, 576),
                new OperationCase(
                        "add, a value to itself",
                        21,
                        List.of(shape(2, 3, 4)),
                        List.of(),
                        run -> Add.apply(run.tape, run.x(0), run.x(0)),
                        (x, p) -> x[0].add(x[0])),
                new OperationCase(
                        "add, a chain in which gradients are shared and summed",
                        21,
                        List.of(shape(2, 3, 4), shape(2, 3, 4)),
                        List.of(),
                        run -> {
                            Var sum = Add.apply(run.tape, run.x(0), run.x(1));
                            Var more = Add.apply(run.tape, sum, run.x(0));
                            return Add.apply(run.tape, Add.apply(run.tape, more, sum), run.x(1));
                        },
                        (x, p) -> {
                            var sum = x[0].add(x[1]);
                            return sum.add(x[0]).add(sum).add(x[1]);
                        }),
                gate("gated MLP, one value", 1, 1, 1),
                gate("gated MLP, odd sizes", 3, 7, 13),
                gate("gated MLP, a model's sizes", 1, 257, 1536),
                gelu("gated MLP with GELU, odd sizes", 3, 7, 13),
                gelu("gated MLP with GELU, a model's sizes", 1, 257, 1536));
    }

    private static OperationCase add(String name, long... sizes) {
        return new OperationCase(
                name,
                22,
                List.of(shape(sizes), shape(sizes)),
                List.of(),
                run -> Add.apply(run.tape, run.x(0), run.x(1)),
                (x, p) -> x[0].add(x[1]));
    }

    private static OperationCase gate(String name, long... sizes) {
        return new OperationCase(
                name,
                23,
                List.of(shape(sizes), shape(sizes)),
                List.of(),
                run -> GatedMlp.apply(run.tape, Gate.SILU, run.x(0), run.x(1)),
                (x, p) -> torch.silu(x[0]).mul(x[1]));
    }

    private static OperationCase gelu(String name, long... sizes) {
        return new OperationCase(
                name,
                24,
                List.of(shape(sizes), shape(sizes)),
                List.of(),
                run -> GatedMlp.apply(run.tape, Gate.GELU_TANH, run.x(0), run.x(1)),
                (x, p) -> torch.gelu(x[0], "tanh").mul(x[1]));
    }
}
