package org.qlora4j.autograd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.autograd.OperationCase.Run;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/** For operations that run in F64 too: all but those on 4-bit weights. */
interface F64GradientSuite extends GradientSuite {
    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    default void inF64_matchesLibtorchAutogradAndCentralDifferences(OperationCase c) {
        GradientSuite.compare(c, DType.F64, 1e-12, 1e-13);
        try (TensorScope scope = TensorScope.open()) {
            double expected = 0;
            double terms = 0;
            List<Tensor> gradients = GradientSuite.ours(c, DType.F64).gradients();
            for (int i = 0; i < gradients.size(); i++) {
                Tensor product = gradients.get(i).times(c.direction(i));
                expected += product.sum().item();
                terms += product.abs().sum().item();
            }
            double h = 1e-4; // four points: the error is that of h⁴ times the fifth derivative
            double slope =
                    (8 * (moved(c, h) - moved(c, -h)) - (moved(c, 2 * h) - moved(c, -2 * h)))
                            / (12 * h);
            // the terms count where they cancel
            double allowed = 1e-6 * Math.max(Math.abs(expected), 1e-2 * terms) + 1e-10;
            assertThat(Math.abs(slope - expected))
                    .as("central difference %s, tape %s", slope, expected)
                    .isLessThanOrEqualTo(allowed);
        }
    }

    /** The sum of value times cotangent, with all variables moved along their directions. */
    private static double moved(OperationCase c, double distance) {
        try (TensorScope scope = TensorScope.open();
                Run run = c.run(DType.F64, distance)) {
            Tensor value = c.ours().apply(run).value();
            return value.times(GradientSuite.cotangent(c, value)).sum().item();
        }
    }
}
