package org.qlora4j.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.qlora4j.testing.Close.assertClose;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.LongStream;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.autograd.OperationCase.Run;
import org.qlora4j.kernel.FourBitLoss;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Poison;
import org.qlora4j.tensor.Raw;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Samples;

/**
 * What every differentiable operation must keep. A test class names its operation's {@code cases()}
 * and gets these checks for each.
 */
interface GradientSuite {
    /** Largest difference in bf16, as a share of the largest value: 2^-8 for each rounding. */
    default double bf16Tolerance() {
        return 2e-2;
    }

    /** Value and gradients (inputs, then parameters) of one run, in the innermost scope. */
    record Outcome(Tensor value, List<Tensor> gradients) {}

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    default void inF32_matchesLibtorchAutograd(OperationCase c) {
        compare(c, DType.F32, 1e-5, 1e-6);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    default void inBf16_staysNearLibtorchAutograd(OperationCase c) {
        compare(c, DType.BF16, bf16Tolerance(), 1e-2);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    default void onPoisonedMemory_givesTheSameBits(OperationCase c) {
        try (TensorScope scope = TensorScope.open()) {
            Outcome clean = ours(c, DType.F32);
            long[] sizes = clean.gradients.stream().mapToLong(Tensor::byteSize).toArray();
            Poison.freedBlocks(
                    Double.NaN,
                    LongStream.concat(LongStream.of(sizes), LongStream.of(clean.value.byteSize()))
                            .toArray());
            try (Poison poison = Poison.open()) {
                Outcome poisoned = ours(c, DType.F32);
                assertThat(poisoned.value.toFloats()).isEqualTo(clean.value.toFloats());
                for (int i = 0; i < sizes.length; i++) {
                    assertThat(poisoned.gradients.get(i).toFloats())
                            .as(gradientName(c, i))
                            .isEqualTo(clean.gradients.get(i).toFloats());
                }
            }
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    default void afterBackward_nothingIsLeftToFree(OperationCase c) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor gradient = cotangent(c, ours(c, DType.F32).value);
            backwardFreesAll(c, gradient);
        }
    }

    private static void backwardFreesAll(OperationCase c, Tensor gradient) {
        long before = NativeMemory.liveBytes();
        long freed = NativeMemory.freedBySafetyNet();
        try (TensorScope net = TensorScope.openSafetyNet();
                Run run = c.run(DType.F32)) {
            Var result = c.ours().apply(run);
            run.tape.backward(result, gradient);
            assertThat(result.value().isClosed()).as("result is freed by its backward").isTrue();
            for (Var input : run.inputs) {
                Objects.requireNonNull(input.takeGrad()).close();
            }
        }
        assertThat(NativeMemory.freedBySafetyNet() - freed).as("freed by safety net").isZero();
        assertThat(NativeMemory.liveBytes()).as("live bytes").isEqualTo(before);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    default void withoutRecording_givesTheSameValueAndKeepsNothing(OperationCase c) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor recorded = ours(c, DType.F32).value;
            long before = NativeMemory.liveBytes();
            Tensor value;
            try (Run run = c.run(DType.F32, 0)) {
                value = c.ours().apply(run).value().copy();
            }
            assertThat(NativeMemory.liveBytes() - before).isEqualTo(value.byteSize());
            // few rows of a 4-bit weight take another kernel than in training
            assertClose("value", value, recorded, FourBitLoss.ofProduct(1e-6), 0);
        }
    }

    static void compare(OperationCase c, DType dtype, double relative, double absolute) {
        try (TensorScope scope = TensorScope.open()) {
            Outcome expected = judge(c, dtype);
            Outcome actual = ours(c, dtype);
            assertClose("value", actual.value.to(DType.F64), expected.value, relative, absolute);
            assertThat(actual.gradients).hasSameSizeAs(expected.gradients);
            for (int i = 0; i < expected.gradients.size(); i++) {
                assertClose(
                        gradientName(c, i),
                        actual.gradients.get(i).to(DType.F64),
                        expected.gradients.get(i),
                        relative,
                        absolute);
            }
        }
    }

    private static String gradientName(OperationCase c, int i) {
        int inputs = c.inputs().size();
        return i < inputs ? "gradient of input " + i : "gradient of parameter " + (i - inputs);
    }

    /** Our value and gradients. */
    static Outcome ours(OperationCase c, DType dtype) {
        try (Run run = c.run(dtype)) {
            Var result = c.ours().apply(run);
            Tensor value = result.value().copy();
            run.tape.backward(result, cotangent(c, value));
            List<Tensor> gradients = new ArrayList<>();
            for (Var input : run.inputs) {
                try (Tensor grad = Objects.requireNonNull(input.takeGrad(), "no gradient came")) {
                    assertThat(grad.dtype()).isEqualTo(dtype);
                    gradients.add(grad.copy());
                }
            }
            for (Parameter parameter : run.parameters) {
                assertThat(parameter.grad().dtype()).isEqualTo(dtype.wide());
                gradients.add(parameter.grad().copy());
            }
            return new Outcome(value, gradients);
        }
    }

    /** libtorch's value and gradients, in F64, on the values of such a run. */
    private static Outcome judge(OperationCase c, DType dtype) {
        try (PointerScope pointers = new PointerScope();
                Run run = c.run(dtype)) {
            var inputs =
                    run.inputs.stream()
                            .map(v -> variable(v.value()))
                            .toArray(org.bytedeco.pytorch.Tensor[]::new);
            var parameters =
                    run.parameters.stream()
                            .map(p -> variable(p.value()))
                            .toArray(org.bytedeco.pytorch.Tensor[]::new);
            var value = c.judge().apply(inputs, parameters);
            Tensor copy = Raw.wrap(value);
            Tensor cotangent = cotangent(c, copy.to(dtype)).to(DType.F64);
            value.mul(Raw.of(cotangent)).sum().backward();
            List<Tensor> gradients = new ArrayList<>();
            for (var variable : inputs) {
                gradients.add(Raw.wrap(variable.grad()));
            }
            for (var variable : parameters) {
                gradients.add(Raw.wrap(variable.grad()));
            }
            return new Outcome(copy, gradients);
        }
    }

    private static org.bytedeco.pytorch.Tensor variable(Tensor value) {
        return Raw.of(value.to(DType.F64).copy()).set_requires_grad(true);
    }

    /** Random, but 1 for a loss: a trained head wants the loss itself as root. */
    static Tensor cotangent(OperationCase c, Tensor value) {
        return value.rank() == 0
                ? Tensors.full(1, value.dtype())
                : Samples.normal(value.dtype(), c.seed() * 100 + 99, value.shape());
    }
}
