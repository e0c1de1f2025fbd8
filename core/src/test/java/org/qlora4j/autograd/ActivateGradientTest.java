package org.qlora4j.autograd;

import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.pytorch.global.torch;
import org.qlora4j.kernel.Activation;

class ActivateGradientTest implements F64GradientSuite {
    static Stream<OperationCase> cases() {
        return Stream.of(
                activation(Activation.GELU, 1, 1, 1),
                activation(Activation.GELU, 3, 7, 13),
                activation(Activation.GELU, 1, 257, 1536),
                activation(Activation.GELU_TANH, 1, 1, 1),
                activation(Activation.GELU_TANH, 3, 7, 13),
                activation(Activation.GELU_TANH, 1, 257, 1536),
                // few values: a difference quotient across 0 would be none of ReLU's slopes
                activation(Activation.RELU, 3, 7, 13));
    }

    private static OperationCase activation(Activation f, long... sizes) {
        return new OperationCase(
                f + " of " + List.of(sizes[0], sizes[1], sizes[2]),
                new Random(f.ordinal()).nextInt(100),
                List.of(new OperationCase.Shape(3, sizes)),
                List.of(),
                run -> Activate.apply(run.tape, run.x(0), f),
                (x, p) ->
                        switch (f) {
                            case GELU -> torch.gelu(x[0]);
                            case GELU_TANH -> torch.gelu(x[0], "tanh");
                            case RELU -> torch.relu(x[0]);
                        });
    }
}
