package org.qlora4j.autograd;

import static org.qlora4j.autograd.OperationCase.shape;

import java.util.List;
import java.util.stream.Stream;

class PartGradientTest implements F64GradientSuite {
    static Stream<OperationCase> cases() {
        return Stream.of(
                new OperationCase(
                        "one part, the rest without gradient",
                        15,
                        List.of(shape(2, 5, 12)),
                        List.of(),
                        run -> Part.apply(run.tape, run.x(0), 1, 3, 4),
                        (x, p) -> x[0].narrow(2, 3, 4)),
                new OperationCase(
                        "keys of each head",
                        16,
                        List.of(shape(2, 7, 3 * 15)),
                        List.of(),
                        run -> Part.apply(run.tape, run.x(0), 3, 5, 5),
                        (x, p) ->
                                x[0].view(2, 7, 3, 15).narrow(3, 5, 5).contiguous().view(2, 7, 15)),
                new OperationCase(
                        "parts that overlap, and a gradient that is shared",
                        17,
                        List.of(shape(2, 3, 8), shape(2, 3, 4)),
                        List.of(),
                        run -> {
                            Var twice = Add.apply(run.tape, run.x(0), run.x(0));
                            Var a = Part.apply(run.tape, twice, 1, 0, 4);
                            Var b = Part.apply(run.tape, twice, 1, 2, 4);
                            return Add.apply(run.tape, Add.apply(run.tape, a, b), run.x(1));
                        },
                        (x, p) -> {
                            var twice = x[0].add(x[0]);
                            return twice.narrow(2, 0, 4).add(twice.narrow(2, 2, 4)).add(x[1]);
                        }),
                new OperationCase(
                        "the whole and a part of it",
                        18,
                        List.of(shape(1, 3, 6)),
                        List.of(),
                        run -> {
                            Var part = Part.apply(run.tape, run.x(0), 2, 1, 2);
                            Var rest = Part.apply(run.tape, run.x(0), 2, 0, 2);
                            return Add.apply(run.tape, Add.apply(run.tape, part, rest), part);
                        },
                        (x, p) -> {
                            var groups = x[0].view(1, 3, 2, 3);
                            var part = groups.narrow(3, 1, 2).contiguous().view(1, 3, 4);
                            var rest = groups.narrow(3, 0, 2).contiguous().view(1, 3, 4);
                            return part.add(rest).add(part);
                        }));
    }
}
