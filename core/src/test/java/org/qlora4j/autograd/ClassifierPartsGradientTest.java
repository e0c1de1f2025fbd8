package org.qlora4j.autograd;

import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.qlora4j.autograd.OperationCase.shape;
import static org.qlora4j.autograd.OperationCase.weight;

import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.qlora4j.autograd.OperationCase.Run;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Raw;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** {@link Tanh}, {@link Position} and {@link SquaredError}. */
class ClassifierPartsGradientTest implements F64GradientSuite {
    static Stream<OperationCase> cases() {
        return Stream.of(
                new OperationCase(
                        "tanh",
                        61,
                        List.of(shape(3, 1, 17)),
                        List.of(),
                        run -> Tanh.apply(run.tape, run.x(0)),
                        (x, p) -> x[0].tanh()),
                new OperationCase(
                        "the first position of rows of 5",
                        62,
                        List.of(shape(3, 5, 7)),
                        List.of(),
                        run -> Position.apply(run.tape, run.x(0), 0),
                        (x, p) -> x[0].narrow(1, 0, 1)),
                squaredError("one number", 0, 1, 2.5f),
                squaredError("numbers on both sides", 0, 1, -3, 0, 5, 1.25f, 4),
                squaredError("numbers under a cap and a scale", 1.5, 0.7, -1, 0, 3),
                squaredErrorOfAFrozenHead());
    }

    /** A head that learns, with its bias, as a classifier's does. */
    private static OperationCase squaredError(
            String name, double cap, double scale, float... wanted) {
        return new OperationCase(
                name,
                64,
                List.of(shape(wanted.length, 1, 9)),
                List.of(weight(1, 9), shape(1)),
                run -> {
                    Head head = new Head(new Weight.Dense(run.p(0)), run.p(1), cap, scale);
                    return SquaredError.sum(run.tape, run.x(0), head, wanted);
                },
                (x, p) -> {
                    var numbers = torch.linear(x[0], p[0]).mul(new Scalar(scale)).add(p[1]);
                    if (cap != 0) {
                        numbers = numbers.div(new Scalar(cap)).tanh().mul(new Scalar(cap));
                    }
                    return judge(numbers, wanted);
                });
    }

    private static OperationCase squaredErrorOfAFrozenHead() {
        float[] row = {0.5f, -1, 2, 0.25f};
        float[] wanted = {1, -2, 0.5f};
        return new OperationCase(
                "numbers by a frozen head",
                65,
                List.of(shape(3, 1, 4)),
                List.of(),
                run -> {
                    Weight head = run.own(head(run.dtype, row));
                    return SquaredError.sum(run.tape, run.x(0), Head.of(head), wanted);
                },
                (x, p) ->
                        judge(
                                torch.linear(x[0], Raw.of(Tensors.of(row, 1, 4).to(DType.F64))),
                                wanted));
    }

    private static Weight head(DType dtype, float[] row) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor values = scope.promote(Tensors.of(row, 1, row.length).to(dtype));
            return new Weight.Dense(Parameter.frozen("classifier.weight", values));
        }
    }

    private static org.bytedeco.pytorch.Tensor judge(
            org.bytedeco.pytorch.Tensor numbers, float[] wanted) {
        var target = Raw.of(Tensors.of(wanted, wanted.length, 1, 1).to(DType.F64));
        return numbers.sub(target).square().sum();
    }

    @Test
    void numbersOfAnotherCount_areRefused() {
        OperationCase two = squaredError("two", 0, 1, 1, 2);
        try (TensorScope scope = TensorScope.open();
                Run run = two.run(DType.F32)) {
            Head head = Head.of(new Weight.Dense(run.p(0)));
            assertThatThrownBy(() -> SquaredError.sum(run.tape, run.x(0), head, new float[3]))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("squared error: 3 numbers for 2 rows of 1 outputs");
        }
    }
}
