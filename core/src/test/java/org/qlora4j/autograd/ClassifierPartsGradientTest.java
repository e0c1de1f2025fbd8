package org.qlora4j.autograd;

import static org.qlora4j.autograd.OperationCase.shape;

import java.util.List;
import java.util.stream.Stream;

/** {@link Tanh} and {@link Position}. */
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
                        (x, p) -> x[0].narrow(1, 0, 1)));
    }
}
