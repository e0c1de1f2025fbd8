package org.qlora4j.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.qlora4j.autograd.OperationCase.shape;
import static org.qlora4j.autograd.OperationCase.weight;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.qlora4j.autograd.OperationCase.Run;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Raw;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Samples;

class CrossEntropyGradientTest implements F64GradientSuite {
    static Stream<OperationCase> cases() {
        return Stream.of(
                trained("one position", 1, 2, 3, labels(1, 3, 0)),
                trained("a model's sizes", 257, 576, 2000, labels(257, 2000, 0.3)),
                trained("rows of two chunks", 530, 8, 16384, labels(530, 16384, 0.01)),
                trained("most rows without label", 50, 7, 11, labels(50, 11, 0.9)),
                trained("one id everywhere", 5, 7, 11, new int[] {4, 4, 4, 4, 4}),
                trained("first and last id", 2, 7, 11, new int[] {0, 10}),
                whole("cap, bias and scale", 23, 9, 31, labels(23, 31, 0.2)),
                frozen("frozen head", 37, 24, 100, labels(37, 100, 0.2)));
    }

    private static int[] labels(int count, int vocabulary, double ignored) {
        Random random = new Random(61);
        int[] labels = new int[count];
        Arrays.setAll(
                labels,
                i ->
                        random.nextDouble() < ignored
                                ? CrossEntropy.IGNORE
                                : random.nextInt(vocabulary));
        return labels;
    }

    private static OperationCase trained(
            String name, long time, long hidden, long vocabulary, int... labels) {
        return new OperationCase(
                name,
                61,
                List.of(shape(1, time, hidden)),
                List.of(weight(vocabulary, hidden)),
                run ->
                        CrossEntropy.sum(
                                run.tape, run.x(0), Head.of(new Weight.Dense(run.p(0))), labels),
                (x, p) -> judge(torch.linear(x[0], p[0]), labels));
    }

    /** A head that does all a head can. */
    private static OperationCase whole(
            String name, long time, long hidden, long vocabulary, int... labels) {
        return new OperationCase(
                name,
                63,
                List.of(shape(1, time, hidden)),
                List.of(weight(vocabulary, hidden), shape(vocabulary)),
                run -> {
                    Head head = new Head(new Weight.Dense(run.p(0)), run.p(1), 1.5, 0.7);
                    return CrossEntropy.sum(run.tape, run.x(0), head, labels);
                },
                (x, p) -> {
                    var logits = torch.linear(x[0], p[0]).mul(new Scalar(0.7)).add(p[1]);
                    Scalar cap = new Scalar(1.5);
                    return judge(logits.div(cap).tanh().mul(cap), labels);
                });
    }

    private static OperationCase frozen(
            String name, long time, long hidden, long vocabulary, int... labels) {
        return new OperationCase(
                name,
                62,
                List.of(shape(1, time, hidden)),
                List.of(),
                run -> {
                    Weight head = run.own(head(vocabulary, hidden, run.dtype));
                    return CrossEntropy.sum(run.tape, run.x(0), Head.of(head), labels);
                },
                (x, p) -> {
                    Tensor head = headValues(vocabulary, hidden, DType.F64);
                    return judge(torch.linear(x[0], Raw.of(head)), labels);
                });
    }

    private static Weight head(long vocabulary, long hidden, DType dtype) {
        return new Weight.Dense(
                Parameter.frozen("lm_head.weight", headValues(vocabulary, hidden, dtype)));
    }

    /** Values that every type holds exactly. */
    private static Tensor headValues(long vocabulary, long hidden, DType dtype) {
        try (TensorScope scope = TensorScope.open()) {
            return scope.promote(
                    Samples.normal(DType.BF16, 63, vocabulary, hidden).times(0.25).to(dtype));
        }
    }

    private static org.bytedeco.pytorch.Tensor judge(
            org.bytedeco.pytorch.Tensor logits, int[] labels) {
        long[] wide = Arrays.stream(labels).asLongStream().toArray();
        int sum = 2; // at::Reduction::Sum
        return torch.cross_entropy_loss(
                logits.view(-1, logits.size(-1)),
                Raw.of(Tensors.of(wide, wide.length)),
                new TensorOptional(),
                sum,
                CrossEntropy.IGNORE,
                0);
    }

    @Test
    void everyLabelIgnored_givesZeroLossAndZeroGradient() {
        int[] labels = {CrossEntropy.IGNORE, CrossEntropy.IGNORE, CrossEntropy.IGNORE};
        try (TensorScope scope = TensorScope.open();
                Run run = trained("ignored", 3, 4, 5, labels).run(DType.F32)) {
            Var loss =
                    CrossEntropy.sum(
                            run.tape, run.x(0), Head.of(new Weight.Dense(run.p(0))), labels);
            assertThat(loss.value().item()).isZero();
            run.tape.backward(loss);
            try (Tensor gradient = Objects.requireNonNull(run.x(0).takeGrad())) {
                assertThat(gradient.toFloats()).containsOnly(0);
            }
            assertThat(run.p(0).grad().toFloats()).containsOnly(0);
        }
    }

    @Test
    void nanInRowWithoutLabel_doesNotSpread() {
        int[] labels = {1, CrossEntropy.IGNORE, 2};
        try (TensorScope scope = TensorScope.open();
                Run run = trained("nan", 3, 4, 5, labels).run(DType.F32)) {
            run.x(0).value().select(1, 1).fill(Double.NaN);
            Var loss =
                    CrossEntropy.sum(
                            run.tape, run.x(0), Head.of(new Weight.Dense(run.p(0))), labels);
            assertThat(loss.value().allFinite()).isTrue();
            run.tape.backward(loss);
            try (Tensor gradient = Objects.requireNonNull(run.x(0).takeGrad())) {
                assertThat(gradient.allFinite()).isTrue();
                assertThat(gradient.select(1, 1).toFloats()).containsOnly(0);
            }
            assertThat(run.p(0).grad().allFinite()).isTrue();
        }
    }

    @Test
    void logitsOfThousands_stayFinite() {
        int[] labels = {1, 4};
        try (TensorScope scope = TensorScope.open();
                Run run = frozen("large", 2, 4, 5, labels).run(DType.F32)) {
            run.x(0).value().fill(10_000);
            Weight head = run.own(head(5, 4, DType.F32));
            Var loss = CrossEntropy.sum(run.tape, run.x(0), Head.of(head), labels);
            assertThat(loss.value().allFinite()).isTrue();
            run.tape.backward(loss);
            try (Tensor gradient = Objects.requireNonNull(run.x(0).takeGrad())) {
                assertThat(gradient.allFinite()).isTrue();
            }
        }
    }

    @Test
    void gradientOfLossIsAQuarter_isRefusedForATrainedHeadAndScalesAFrozenOne() {
        int[] labels = {1, 3};
        try (TensorScope scope = TensorScope.open();
                Run run = frozen("quarter", 2, 4, 5, labels).run(DType.F32);
                Run one = frozen("whole", 2, 4, 5, labels).run(DType.F32)) {
            Weight head = run.own(head(5, 4, DType.F32));
            Tensor quarter = Tensors.full(0.25, DType.F32);
            run.tape.backward(CrossEntropy.sum(run.tape, run.x(0), Head.of(head), labels), quarter);
            one.tape.backward(CrossEntropy.sum(one.tape, one.x(0), Head.of(head), labels));
            try (Tensor part = Objects.requireNonNull(run.x(0).takeGrad());
                    Tensor whole = Objects.requireNonNull(one.x(0).takeGrad())) {
                assertThat(part.toFloats()).isEqualTo(whole.times(0.25).toFloats());
            }
        }
        try (TensorScope scope = TensorScope.open();
                Run run = trained("trained", 2, 4, 5, labels).run(DType.F32)) {
            Var loss =
                    CrossEntropy.sum(
                            run.tape, run.x(0), Head.of(new Weight.Dense(run.p(0))), labels);
            assertThatThrownBy(() -> run.tape.backward(loss, Tensors.full(0.25, DType.F32)))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("root");
        }
    }

    @Test
    void labelsOfAnotherCount_areRefused() {
        try (TensorScope scope = TensorScope.open();
                Run run = frozen("count", 3, 4, 5, 1, 2, 3).run(DType.F32)) {
            Weight head = run.own(head(5, 4, DType.F32));
            assertThatThrownBy(() ->
                            CrossEntropy.sum(run.tape, run.x(0), Head.of(head), new int[] {1, 2}))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("cross-entropy: 2 labels for 3 positions");
        }
    }
}
