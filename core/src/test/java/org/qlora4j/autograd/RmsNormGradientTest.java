package org.qlora4j.autograd;

import static org.qlora4j.autograd.OperationCase.shape;

import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;

class RmsNormGradientTest implements F64GradientSuite {
    static Stream<OperationCase> cases() {
        return Stream.of(
                norm("a model's sizes", 1e-5, 1, 257, 576),
                norm("one row of one", 1e-5, 1, 1, 1),
                norm("odd sizes", 1e-6, 3, 7, 13),
                norm("eps that counts", 0.5, 2, 5, 8),
                heads("each head of a projection", 2, 5, 3, 8),
                shifted("weights around 0, as Gemma's", 2, 7, 13));
    }

    private static OperationCase heads(String name, long batch, long time, long heads, long size) {
        return new OperationCase(
                name,
                12,
                List.of(shape(batch, time, heads * size)),
                List.of(shape(size)),
                run -> RmsNorm.apply(run.tape, run.x(0), run.p(0), 1e-6),
                (x, p) -> {
                    var parts = x[0].view(batch, time, heads, size);
                    var sum = parts.mul(parts).sum(new long[] {-1}, true, new ScalarTypeOptional());
                    var inverse = sum.div(new Scalar((double) size)).add(new Scalar(1e-6)).rsqrt();
                    return parts.mul(inverse).mul(p[0]).view(batch, time, heads * size);
                });
    }

    private static OperationCase norm(String name, double eps, long batch, long time, long hidden) {
        return new OperationCase(
                name,
                11,
                List.of(shape(batch, time, hidden)),
                List.of(shape(hidden)),
                run -> RmsNorm.apply(run.tape, run.x(0), run.p(0), eps),
                (x, p) -> {
                    var sum = x[0].mul(x[0]).sum(new long[] {-1}, true, new ScalarTypeOptional());
                    var inverse = sum.div(new Scalar((double) hidden)).add(new Scalar(eps)).rsqrt();
                    return x[0].mul(inverse).mul(p[0]);
                });
    }

    private static OperationCase shifted(String name, long batch, long time, long hidden) {
        return new OperationCase(
                name,
                13,
                List.of(shape(batch, time, hidden)),
                List.of(shape(hidden)),
                run -> RmsNorm.apply(run.tape, run.x(0), run.p(0), 1, 1e-6),
                (x, p) -> {
                    var sum = x[0].mul(x[0]).sum(new long[] {-1}, true, new ScalarTypeOptional());
                    var mean = sum.div(new Scalar((double) hidden));
                    var inverse = mean.add(new Scalar(1e-6)).rsqrt();
                    return x[0].mul(inverse).mul(p[0].add(new Scalar(1.0)));
                });
    }
}
