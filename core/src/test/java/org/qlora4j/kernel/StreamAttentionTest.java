package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.tensor.CpuFeatures;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Device;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Samples;

/** The vector kernel beside its reference, and the reference beside one text alone; seed 7. */
class StreamAttentionTest {
    /** A row without text, an empty one, the ends of blocks of 16 and what lies around them. */
    private static final int[] LENGTHS = {-1, 0, 1, 14, 15, 16, 17, 31, 32, 62, 63};

    private static final int CAPACITY = 64;

    private final StreamAttention reference =
            Kernels.reference(Device.CPU, "judge").streamAttention();

    /** With the Vector API alone, and in machine code where this CPU runs it. */
    private List<StreamAttention> vectors() {
        Workers workers = new Workers(3);
        return Stream.of(false, CpuFeatures.whole().avx2() && MachineCode.fitsSystem())
                .distinct()
                .<StreamAttention>map(m -> new VectorStreamAttention(workers, reference, m))
                .toList();
    }

    /** What one step reads and writes. */
    private record Step(Tensor q, Tensor k, Tensor v, Tensor keys, Tensor values, Tensor out) {
        static Step make(DType dtype, int kvHeads, int group, int headDim) {
            long rows = LENGTHS.length;
            return new Step(
                    normal(dtype, 1, rows, (long) kvHeads * group, headDim),
                    normal(dtype, 2, rows, kvHeads, headDim),
                    normal(dtype, 3, rows, kvHeads, headDim),
                    normal(dtype, 4, rows, kvHeads, CAPACITY / 16, headDim, 16),
                    normal(dtype, 5, rows, kvHeads, CAPACITY, headDim),
                    Tensors.full(Double.NaN, dtype, rows, (long) kvHeads * group, headDim));
        }

        private static Tensor normal(DType dtype, int seed, long... shape) {
            return Samples.normal(DType.F32, 70 + seed, shape).to(dtype);
        }

        /** The store of each row, none where there is no text. */
        private static @Nullable Tensor[] rows(Tensor all) {
            @Nullable Tensor[] out = new @Nullable Tensor[LENGTHS.length];
            for (int row = 0; row < out.length; row++) {
                out[row] = LENGTHS[row] < 0 ? null : all.select(0, row);
            }
            return out;
        }

        void run(StreamAttention kernel) {
            run(kernel, 0, 0);
        }

        void run(StreamAttention kernel, double softcap, int window) {
            kernel.step(q, k, v, rows(keys), rows(values), LENGTHS, 0.3, softcap, window, out);
        }
    }

    static Stream<Arguments> shapes() {
        return Stream.of(DType.F32, DType.BF16, DType.F64)
                .flatMap(d ->
                        Stream.of(
                                        new int[] {1, 1, 8},
                                        new int[] {2, 3, 64},
                                        new int[] {3, 4, 16},
                                        new int[] {1, 1, 128},
                                        new int[] {1, 2, 128},
                                        new int[] {1, 5, 20},
                                        new int[] {1, 7, 40})
                                .map(s -> Arguments.of(d, s[0], s[1], s[2])));
    }

    @ParameterizedTest(name = "{0}, {1} key heads of {2} queries, {3} wide")
    @MethodSource("shapes")
    void vector_equalsReference(DType dtype, int kvHeads, int group, int headDim) {
        for (StreamAttention vector : vectors()) {
            try (TensorScope scope = TensorScope.open()) {
                Step expected = Step.make(dtype, kvHeads, group, headDim);
                Step got = Step.make(dtype, kvHeads, group, headDim);
                expected.run(reference);
                got.run(vector);
                double tolerance = dtype == DType.BF16 ? 1e-2 : 2e-6;
                Close.assertClose("attention", got.out, expected.out, tolerance, 1e-30);
                assertThat(got.keys.toFloats()).isEqualTo(expected.keys.toFloats());
                assertThat(got.values.toFloats()).isEqualTo(expected.values.toFloats());
                assertThat(got.out.select(0, 0).toFloats()).containsOnly(0f);
            }
        }
    }

    /** Windows that end in a block, at its ends and before it, and caps. */
    @ParameterizedTest(name = "{0}, softcap {1}, window {2}")
    @CsvSource({
        "F32, 0, 1",
        "F32, 0, 5",
        "F32, 0, 16",
        "BF16, 0, 17",
        "F32, 0.4, 0",
        "F32, 3, 33",
        "BF16, 50, 200",
        "F64, 2, 5"
    })
    void vectorWithCapAndWindow_equalsReference(DType dtype, double softcap, int window) {
        for (int[] shape : new int[][] {{2, 3, 64}, {1, 5, 40}}) {
            for (StreamAttention vector : vectors()) {
                try (TensorScope scope = TensorScope.open()) {
                    Step expected = Step.make(dtype, shape[0], shape[1], shape[2]);
                    Step got = Step.make(dtype, shape[0], shape[1], shape[2]);
                    expected.run(reference, softcap, window);
                    got.run(vector, softcap, window);
                    double tolerance = dtype == DType.BF16 ? 1e-2 : 2e-6;
                    Close.assertClose("attention", got.out, expected.out, tolerance, 1e-30);
                }
            }
        }
    }

    /** What a row has room for is its own. */
    @ParameterizedTest
    @CsvSource({"F32, 8", "BF16, 40", "F64, 8"})
    void rowsOfDifferentCapacities_areThoseOfOneCapacity(DType dtype, int headDim) {
        List<StreamAttention> kernels = new ArrayList<>(vectors());
        kernels.add(reference);
        for (StreamAttention kernel : kernels) {
            try (TensorScope scope = TensorScope.open()) {
                Step all = Step.make(dtype, 2, 3, headDim);
                Step own = Step.make(dtype, 2, 3, headDim);
                all.run(kernel);
                @Nullable Tensor[] keys = Step.rows(own.keys);
                @Nullable Tensor[] values = Step.rows(own.values);
                for (int row = 1; row < LENGTHS.length; row++) {
                    int blocks = LENGTHS[row] / 16 + 1;
                    keys[row] = own.keys.select(0, row).narrow(1, 0, blocks).copy();
                    values[row] = own.values.select(0, row).narrow(1, 0, blocks * 16L).copy();
                }
                kernel.step(own.q, own.k, own.v, keys, values, LENGTHS, 0.3, 0, 0, own.out);
                double tolerance = dtype == DType.BF16 ? 1e-2 : 2e-6;
                Close.assertClose("attention", own.out, all.out, tolerance, 1e-30);
            }
        }
    }

    @Test
    void row_dependsOnNoOther() {
        StreamAttention kernel = Kernels.current().streamAttention();
        try (TensorScope scope = TensorScope.open()) {
            Step all = Step.make(DType.F32, 2, 3, 64);
            Step changed = Step.make(DType.F32, 2, 3, 64);
            changed.q.select(0, 3).fill(Double.NaN);
            changed.keys.select(0, 3).fill(Double.NaN);
            changed.values.select(0, 3).fill(Double.NaN);
            all.run(kernel);
            changed.run(kernel);
            for (int row = 0; row < LENGTHS.length; row++) {
                if (row != 3) {
                    assertThat(changed.out.select(0, row).toFloats())
                            .isEqualTo(all.out.select(0, row).toFloats());
                }
            }
        }
    }

    /** Against softmax and sums in f64, written out. */
    @ParameterizedTest(name = "softcap {0}, window {1}")
    @CsvSource({"0, 0", "1.5, 0", "0, 5", "0.4, 17", "0, 1", "0, 200"})
    void step_isSoftmaxOfTheTextAndItsNewPosition(double softcap, int window) {
        try (TensorScope scope = TensorScope.open()) {
            Step step = Step.make(DType.F64, 1, 2, 8);
            StreamAttention kernel = Kernels.current().streamAttention();
            kernel.step(
                    step.q,
                    step.k,
                    step.v,
                    Step.rows(step.keys),
                    Step.rows(step.values),
                    LENGTHS,
                    0.3,
                    softcap,
                    window,
                    step.out);
            int row = 6;
            int seen = LENGTHS[row] + 1;
            float[] q = step.q.select(0, row).toFloats();
            float[] out = step.out.select(0, row).toFloats();
            float[] keys = step.keys.select(0, row).toFloats();
            float[] values = step.values.select(0, row).toFloats();
            assertThat(keys[(seen - 1) / 16 * 8 * 16 + (seen - 1) % 16])
                    .isEqualTo(step.k.select(0, row).toFloats()[0]);
            for (int head = 0; head < 2; head++) {
                double[] weights = new double[seen];
                double sum = 0;
                int first = window == 0 ? 0 : Math.max(0, seen - window);
                for (int t = first; t < seen; t++) {
                    double score = 0;
                    for (int d = 0; d < 8; d++) {
                        score += (double) q[head * 8 + d] * keys[(t / 16 * 8 + d) * 16 + t % 16];
                    }
                    double scaled = 0.3 * score;
                    weights[t] =
                            Math.exp(softcap == 0 ? scaled : softcap * Math.tanh(scaled / softcap));
                    sum += weights[t];
                }
                for (int d = 0; d < 8; d++) {
                    double y = 0;
                    for (int t = 0; t < seen; t++) {
                        y += weights[t] / sum * values[t * 8 + d];
                    }
                    assertThat((double) out[head * 8 + d])
                            .isCloseTo(y, org.assertj.core.data.Offset.offset(1e-6));
                }
            }
        }
    }
}
