package org.qlora4j.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.qlora4j.autograd.OperationCase.shape;
import static org.qlora4j.autograd.OperationCase.weight;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
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

/** The loss from a teacher against the same composed of libtorch's softmax, log and sums. */
class DistillationGradientTest implements F64GradientSuite {
    static Stream<OperationCase> cases() {
        return Stream.of(
                of("one position", 1, 2, 3, 2, 1, 0.5, 0),
                of("a model's sizes", 257, 576, 2000, 32, 1, 0.875, 0.3),
                of("several chunks", 700, 8, 16384, 4, 1, 0.875, 0.01),
                of("warm", 33, 24, 100, 8, 2, 0.75, 0.2),
                of("cold", 33, 24, 100, 8, 0.5, 0.75, 0.2),
                of("teacher alone", 20, 12, 50, 50, 1, 1, 0.2),
                of("teacher alone, warm", 20, 12, 50, 5, 3, 1, 0.2),
                of("one likely id", 20, 12, 50, 1, 2, 0.5, 0.2));
    }

    /** Every fifth position is one on which the teacher is silent. */
    private static OperationCase of(
            String name,
            int time,
            long hidden,
            int vocabulary,
            int width,
            double temperature,
            double share,
            double ignored) {
        Random random = new Random(71);
        int[] labels = new int[time];
        SoftTargets targets = SoftTargets.none(time, width);
        for (int i = 0; i < time; i++) {
            labels[i] =
                    random.nextDouble() < ignored
                            ? CrossEntropy.IGNORE
                            : random.nextInt(vocabulary);
            if (i % 5 != 4) {
                fill(targets, i, 1 + random.nextInt(width), vocabulary, random);
            }
        }
        var mix = new Distillation.Mix(temperature, share);
        return new OperationCase(
                name,
                71,
                List.of(shape(1, time, hidden)),
                List.of(weight(vocabulary, hidden)),
                run ->
                        Distillation.sum(
                                run.tape,
                                run.x(0),
                                Head.of(new Weight.Dense(run.p(0))),
                                labels,
                                targets,
                                mix),
                (x, p) -> judge(torch.linear(x[0], p[0]), labels, targets, mix));
    }

    private static void fill(
            SoftTargets targets, int position, int count, int vocabulary, Random random) {
        int first = random.nextInt(vocabulary);
        int[] parts = new int[count]; // of 256, so that floats hold them and their sum exactly
        for (int left = 256; left > 0; left--) {
            parts[left <= count ? left - 1 : random.nextInt(count)]++;
        }
        for (int j = 0; j < count; j++) {
            targets.ids()[position * targets.width() + j] = (first + j) % vocabulary;
            targets.probabilities()[position * targets.width() + j] = parts[j] / 256f;
        }
    }

    /** With the teacher's probabilities and all shares as dense matrices. */
    private static org.bytedeco.pytorch.Tensor judge(
            org.bytedeco.pytorch.Tensor logits,
            int[] labels,
            SoftTargets targets,
            Distillation.Mix mix) {
        int n = labels.length;
        int vocabulary = (int) logits.size(-1);
        float[] teacher = new float[n * vocabulary];
        float[] label = new float[n * vocabulary];
        double entropy = 0;
        double t = mix.temperature();
        for (int i = 0; i < n; i++) {
            if (labels[i] == CrossEntropy.IGNORE) {
                continue;
            }
            float share = (float) (i % 5 != 4 ? mix.weight() : 0);
            label[i * vocabulary + labels[i]] = 1 - share;
            for (int j = 0; share > 0 && j < targets.width(); j++) {
                int at = i * targets.width() + j;
                float p = targets.probabilities()[at];
                teacher[i * vocabulary + targets.ids()[at]] += share * p;
                entropy += p > 0 ? share * p * Math.log(p) : 0;
            }
        }
        var z = logits.view(n, vocabulary);
        var soft = z.mul(new Scalar(1 / t)).log_softmax(1).mul(wide(teacher, n, vocabulary)).sum();
        var hard = z.log_softmax(1).mul(wide(label, n, vocabulary)).sum();
        return hard.neg().sub(soft.mul(new Scalar(t * t))).add(new Scalar(t * t * entropy));
    }

    private static org.bytedeco.pytorch.Tensor wide(float[] values, int rows, int columns) {
        return Raw.of(Tensors.of(values, rows, columns).to(DType.F64));
    }

    @Test
    void teacherLikeTheStudent_isAllButNoLossAndNoGradient() {
        try (TensorScope scope = TensorScope.open();
                Run run = of("same", 3, 4, 5, 5, 2, 1, 0).run(DType.F32)) {
            Tensor logits = run.x(0).value().view(3, 4).linear(run.p(0).value(), null);
            float[] p = logits.times(0.5).softmax(1).toFloats();
            int[] ids = new int[15];
            Arrays.setAll(ids, i -> i % 5);
            Var loss =
                    Distillation.sum(
                            run.tape,
                            run.x(0),
                            Head.of(new Weight.Dense(run.p(0))),
                            new int[] {1, 2, 3},
                            new SoftTargets(5, ids, p),
                            new Distillation.Mix(2, 1));
            assertThat(loss.value().item()).isCloseTo(0, org.assertj.core.data.Offset.offset(1e-5));
            run.tape.backward(loss);
            for (float g : run.p(0).grad().toFloats()) {
                assertThat(g).isCloseTo(0, org.assertj.core.data.Offset.offset(1e-5f));
            }
        }
    }

    @Test
    void targetsOfAnotherCount_areRefused() {
        try (TensorScope scope = TensorScope.open();
                Run run = of("count", 3, 4, 5, 2, 1, 1, 0).run(DType.F32)) {
            assertThatThrownBy(() ->
                            Distillation.sum(
                                    run.tape,
                                    run.x(0),
                                    Head.of(new Weight.Dense(run.p(0))),
                                    new int[] {1, 2, 3},
                                    SoftTargets.none(2, 2),
                                    new Distillation.Mix(1, 1)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("distillation: 3 labels and 2 targets for 3 positions");
        }
    }
}
