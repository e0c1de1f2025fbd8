package org.qlora4j.autograd;

import static org.qlora4j.autograd.OperationCase.shape;

import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

class LayerNormGradientTest implements F64GradientSuite {
    static Stream<OperationCase> cases() {
        return Stream.of(
                norm("a model's sizes", 1e-5, 1, 257, 576),
                norm("one row of two", 1e-5, 1, 1, 2),
                norm("odd sizes", 1e-12, 3, 7, 13),
                norm("eps that counts", 0.5, 2, 5, 8));
    }

    private static OperationCase norm(String name, double eps, long batch, long time, long hidden) {
        return new OperationCase(
                name,
                13,
                List.of(shape(batch, time, hidden)),
                List.of(shape(hidden), shape(hidden)),
                run -> LayerNorm.apply(run.tape, run.x(0), run.p(0), run.p(1), eps),
                (x, p) ->
                        torch.layer_norm(
                                x[0],
                                new long[] {hidden},
                                new TensorOptional(p[0]),
                                new TensorOptional(p[1]),
                                eps,
                                false));
    }
}
