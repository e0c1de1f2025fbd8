package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.tensor.CpuFeatures;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Device;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Samples;

/** The vector kernels that work on rows, beside their references on the same input; seed 7. */
class RowKernelsTest {
    private final Workers workers = new Workers(3);
    private final Kernels reference = Kernels.reference(Device.CPU, "judge");

    /** What masks of attention look like. */
    enum Kind {
        OPEN,
        CAUSAL,
        PADDED_RIGHT,
        PADDED_LEFT,
        HOLES
    }

    static Stream<Arguments> attentionCases() {
        return Stream.of(DType.F32, DType.BF16, DType.F64)
                .flatMap(d -> Stream.of(Kind.values()).map(k -> new Object[] {d, k}))
                .flatMap(dk ->
                        Stream.of(
                                        new int[] {1, 1},
                                        new int[] {7, 7},
                                        new int[] {16, 33},
                                        new int[] {65, 300})
                                .map(s -> Arguments.of(dk[0], dk[1], s[0], s[1])));
    }

    @ParameterizedTest(name = "{0}, {1}, {2} rows, {3} keys")
    @MethodSource("attentionCases")
    void attentionSoftmax_vectorEqualsReference(DType dtype, Kind kind, int rows, int keys) {
        try (TensorScope scope = TensorScope.open()) {
            BlockMask mask = mask(kind, rows, keys);
            double tolerance = tolerance(dtype);
            AttentionSoftmax vector =
                    new VectorAttentionSoftmax(workers, reference.attentionSoftmax());
            Tensor scores =
                    Samples.normal(DType.F32, 7, 4, 3L * rows, keys).mulInPlace(4).to(dtype);
            Tensor expected = scores.copy();
            reference.attentionSoftmax().forward(expected, 0.3, mask);
            vector.forward(scores, 0.3, mask);
            Close.assertClose("probabilities", scores, expected, tolerance, 0);

            Tensor dp = Samples.normal(DType.F32, 8, 4, 3L * rows, keys).to(dtype);
            Tensor dExpected = dp.copy();
            reference.attentionSoftmax().backward(expected, dExpected, 0.3, mask);
            vector.backward(expected, dp, 0.3, mask);
            Close.assertClose("gradient", dp, dExpected, tolerance, 1e-30);
        }
    }

    /** Against libm in f64, where the polynomial ends and far from 0. */
    @Test
    void tanh_isLibmsToSomeUnitsInTheLastPlace() {
        float[] xs = new float[4096];
        for (int i = 0; i < xs.length; i++) {
            xs[i] = (i - 2048) * (i % 2 == 0 ? 0.0004f : 0.01f);
        }
        float[] got = xs.clone();
        FastTanh.cap(got, 0, got.length, 1);
        for (int i = 0; i < xs.length; i++) {
            double expected = Math.tanh(xs[i]);
            assertThat((double) got[i])
                    .as("tanh(%s)", xs[i])
                    .isCloseTo(expected, Offset.offset(3e-7 * Math.abs(expected)));
            assertThat((double) FastTanh.of(xs[i]))
                    .isCloseTo(expected, Offset.offset(3e-7 * Math.abs(expected)));
        }
        float[] ends = {0f, 1e30f, -1e30f, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};
        float[] capped = Arrays.copyOf(ends, 16);
        FastTanh.cap(capped, 0, 16, 30);
        assertThat(Arrays.copyOf(capped, 5)).containsExactly(0f, 30f, -30f, 30f, -30f);
    }

    static Stream<Arguments> tiledCases() {
        return Stream.of(Kind.values())
                .flatMap(kind ->
                        Stream.of(
                                        new int[] {1, 1, 1, 1, 2},
                                        new int[] {7, 7, 2, 3, 6},
                                        new int[] {65, 130, 1, 2, 80},
                                        new int[] {200, 200, 2, 1, 64},
                                        new int[] {3, 300, 1, 4, 33})
                                .map(s -> Arguments.of(kind, s[0], s[1], s[2], s[3], s[4])));
    }

    @ParameterizedTest(name = "{0}, {1} queries, {2} keys, {3} key heads, {4} queries each, of {5}")
    @MethodSource("tiledCases")
    void tiledAttention_vectorEqualsReference(
            Kind kind, int rows, int keys, int kvHeads, int group, int headDim) {
        assumeTrue(
                new VectorTiledAttention(workers).takes(DType.F32), "no fused multiply-add here");
        try (TensorScope scope = TensorScope.open();
                BlockMask mask = mask(kind, rows, keys)) {
            int batch = mask.sequences();
            Tensor q = Samples.normal(DType.F32, 7, batch, rows, kvHeads * group, headDim);
            Tensor k = Samples.normal(DType.F32, 8, batch, keys, kvHeads, headDim);
            Tensor v = Samples.normal(DType.F32, 9, batch, keys, kvHeads, headDim);
            Tensor dOut = Samples.normal(DType.F32, 10, q.shape());
            q.mulInPlace(4);
            VectorTiledAttention vector = new VectorTiledAttention(workers);
            for (double cap : new double[] {0, 2.5}) {
                List<Tensor> expected = tiled(reference.tiledAttention(), q, k, v, cap, mask, dOut);
                List<Tensor> actual = tiled(vector, q, k, v, cap, mask, dOut);
                for (int i = 0; i < expected.size(); i++) {
                    String name = List.of("out", "dq", "dk", "dv").get(i) + ", cap " + cap;
                    Close.assertClose(name, actual.get(i), expected.get(i), 2e-5, 1e-7);
                }
            }
        }
    }

    private static List<Tensor> tiled(
            TiledAttention kernel,
            Tensor q,
            Tensor k,
            Tensor v,
            double cap,
            BlockMask mask,
            Tensor dOut) {
        Tensor sums = Tensors.full(Double.NaN, DType.F32, q.size(0), q.size(2), q.size(1));
        List<Tensor> out =
                Stream.of(q, q, k, v)
                        .map(like -> Tensors.full(Double.NaN, DType.F32, like.shape()))
                        .toList();
        kernel.forward(q, k, v, 0.3, cap, mask, out.get(0), sums);
        kernel.backward(
                new TiledAttention.Forward(q, k, v, 0.3, cap, mask, out.get(0), sums),
                dOut,
                out.get(1),
                out.get(2),
                out.get(3));
        return out;
    }

    /** Two sequences, the second of which sees one key less at either end. */
    private static BlockMask mask(Kind kind, int rows, int keys) {
        if (kind == Kind.OPEN) {
            return BlockMask.open(rows, keys);
        }
        int[] first = new int[2 * rows];
        int[] end = new int[2 * rows];
        for (int i = 0; i < 2 * rows; i++) {
            int less = i / rows;
            int last = Math.max(0, keys - rows + i % rows + 1 - less);
            int from = less + (kind == Kind.PADDED_LEFT ? keys / 2 : 0);
            int to = kind == Kind.PADDED_RIGHT ? Math.min(last, (keys + 1) / 2) : last;
            first[i] = Math.min(from, to);
            end[i] = to;
        }
        byte[] visible = null;
        if (kind == Kind.HOLES) {
            visible = new byte[2 * keys];
            for (int i = 0; i < visible.length; i++) {
                visible[i] = (byte) (i % 3 == 1 ? 0 : 1);
            }
        }
        return new BlockMask(2, rows, keys, first, end, visible);
    }

    static Stream<Arguments> rowCases() {
        return Stream.of(DType.F32, DType.BF16, DType.F64)
                .flatMap(d ->
                        Stream.of(
                                        new int[] {1, 1},
                                        new int[] {3, 15},
                                        new int[] {65, 16},
                                        new int[] {130, 17},
                                        new int[] {5, 577},
                                        new int[] {2, 5003})
                                .map(s -> Arguments.of(d, s[0], s[1])));
    }

    @ParameterizedTest(name = "{0}, {1} rows of {2}")
    @MethodSource("rowCases")
    void crossEntropy_vectorEqualsReference(DType dtype, int rows, int vocabulary) {
        try (TensorScope scope = TensorScope.open()) {
            CrossEntropyRows vector = new VectorCrossEntropyRows(workers, reference.crossEntropy());
            int hidden = 48;
            Tensor x = Samples.normal(DType.F32, 7, rows, hidden).to(dtype);
            Tensor weight = Samples.normal(DType.F32, 8, vocabulary, hidden).to(dtype);
            Tensor logits = x.linear(weight, null);
            long[] labels = new Random(7).longs(rows, 0, vocabulary).toArray();
            Tensor expected = logits.copy();
            Tensor unchanged = logits.copy();
            double loss =
                    reference.crossEntropy().lossAndGradient(x, weight, expected, labels, true);
            Offset<Double> near =
                    Offset.offset(
                            (dtype == DType.BF16 ? 2e-3 : 1e-5) * Math.max(1, Math.abs(loss)));
            assertThat(vector.lossAndGradient(x, weight, unchanged, labels, false))
                    .isCloseTo(loss, near);
            assertThat(vector.lossAndGradient(x, weight, logits, labels, true))
                    .isCloseTo(loss, near);
            Close.assertClose("gradient", logits, expected, tolerance(dtype), 1e-7);
        }
    }

    /** 17 logits of 0 but for one of 30: loss and gradient are 16 e^-30, far below 2^-24. */
    @Test
    void crossEntropyOfLabelThatLeads_isNotZero() {
        try (TensorScope scope = TensorScope.open()) {
            float[] logits = new float[17];
            logits[5] = 30;
            double small = 16 * Math.exp(-30);
            Tensor x = Tensors.full(1, DType.F32, 1, 1);
            Tensor weight = Tensors.of(logits, 17, 1);
            for (CrossEntropyRows kernel :
                    List.of(
                            reference.crossEntropy(),
                            new VectorCrossEntropyRows(workers, reference.crossEntropy()))) {
                Tensor row = Tensors.of(logits, 1, 17);
                double loss = kernel.lossAndGradient(x, weight, row, new long[] {5}, true);
                assertThat(loss).isCloseTo(small, Offset.offset(1e-5 * small));
                float[] gradient = row.toFloats();
                assertThat((double) gradient[5]).isCloseTo(-small, Offset.offset(1e-5 * small));
                assertThat((double) gradient[0]).isCloseTo(small / 16, Offset.offset(1e-5 * small));
            }
        }
    }

    @ParameterizedTest(name = "{0}, {1} rows of {2}")
    @MethodSource("rowCases")
    void norm_vectorEqualsReference(DType dtype, int rows, int hidden) {
        try (TensorScope scope = TensorScope.open()) {
            NormRows vector = new VectorNormRows(workers, reference.norm());
            Tensor x = Samples.normal(DType.F32, 7, rows, hidden).to(dtype);
            Tensor weight = Samples.normal(DType.F32, 8, hidden).to(dtype);
            Tensor dy = Samples.normal(DType.F32, 9, rows, hidden).to(dtype);
            for (float shift : new float[] {0, 1}) {
                Tensor[] expected = norm(reference.norm(), x, weight, shift, dy);
                Tensor[] actual = norm(vector, x, weight, shift, dy);
                Close.assertClose("y", actual[0], expected[0], tolerance(dtype), 0);
                Close.assertClose("inverse", actual[1], expected[1], 1e-5, 0);
                Close.assertClose("dx", actual[2], expected[2], tolerance(dtype), 1e-5);
            }
        }
    }

    private static Tensor[] norm(NormRows kernel, Tensor x, Tensor weight, float shift, Tensor dy) {
        Tensor y = Tensors.full(Double.NaN, x.dtype(), x.shape());
        Tensor dx = Tensors.full(Double.NaN, x.dtype(), x.shape());
        Tensor inverse = Tensors.full(Double.NaN, x.dtype().wide(), x.size(0));
        kernel.forward(x, weight, shift, 1e-5, y, inverse);
        kernel.backward(x, weight, shift, inverse, dy, dx);
        return new Tensor[] {y, inverse, dx};
    }

    @ParameterizedTest(name = "{0}, {1} rows of {2}")
    @MethodSource("rowCases")
    void layerNorm_vectorEqualsReference(DType dtype, int rows, int hidden) {
        try (TensorScope scope = TensorScope.open()) {
            LayerNormRows vector = new VectorLayerNormRows(workers, reference.layerNorm());
            Tensor x = Samples.normal(DType.F32, 7, rows, hidden).plus(0.7).to(dtype);
            Tensor weight = Samples.normal(DType.F32, 8, hidden).to(dtype);
            Tensor bias = Samples.normal(DType.F32, 9, hidden).to(dtype);
            Tensor dy = Samples.normal(DType.F32, 10, rows, hidden).to(dtype);
            Tensor[] expected = layerNorm(reference.layerNorm(), x, weight, bias, dy);
            Tensor[] actual = layerNorm(vector, x, weight, bias, dy);
            Close.assertClose("y", actual[0], expected[0], tolerance(dtype), 0);
            Close.assertClose("statistics", actual[1], expected[1], 1e-5, 0);
            Close.assertClose("dx", actual[2], expected[2], tolerance(dtype), 1e-5);
        }
    }

    private static Tensor[] layerNorm(
            LayerNormRows kernel, Tensor x, Tensor weight, Tensor bias, Tensor dy) {
        Tensor y = Tensors.full(Double.NaN, x.dtype(), x.shape());
        Tensor dx = Tensors.full(Double.NaN, x.dtype(), x.shape());
        Tensor statistics = Tensors.full(Double.NaN, x.dtype().wide(), 2, x.size(0));
        kernel.forward(x, weight, bias, 1e-5, y, statistics);
        kernel.backward(x, weight, statistics, dy, dx);
        return new Tensor[] {y, statistics, dx};
    }

    @ParameterizedTest(name = "{0}, {1} rows of {2}")
    @MethodSource("rowCases")
    void rowInt8_vectorIsReferenceToTheBit(DType dtype, int rows, int n) {
        try (TensorScope scope = TensorScope.open()) {
            RowInt8 vector = new VectorRowInt8(workers, reference.rowInt8());
            Tensor x = Samples.normal(DType.F32, 7, rows, n).mulInPlace(2).to(dtype);
            x.select(0, rows - 1).zero(); // a row of zeros has no scale
            for (double threshold : new double[] {0, 3, 100}) {
                Tensor expected = Tensors.empty(dtype, rows, n);
                Tensor actual = Tensors.full(Double.NaN, dtype, rows, n);
                reference.rowInt8().round(x, threshold, expected);
                vector.round(x, threshold, actual);
                Close.assertClose("rounded above " + threshold, actual, expected, 0, 0);
            }
            Tensor codes =
                    Samples.normal(DType.F32, 8, rows, n).mulInPlace(40).to(DType.I32).to(DType.I8);
            Tensor scales = Samples.normal(DType.F32, 9, rows).abs();
            Tensor expected = Tensors.empty(dtype, rows, n);
            Tensor actual = Tensors.full(Double.NaN, dtype, rows, n);
            reference.rowInt8().decode(codes, scales, expected);
            vector.decode(codes, scales, actual);
            Close.assertClose("decoded", actual, expected, 0, 0);
        }
    }

    static Stream<Arguments> activationCases() {
        return Stream.of(Activation.values())
                .flatMap(f ->
                        Stream.of(DType.F32, DType.BF16, DType.F64)
                                .flatMap(d ->
                                        Stream.of(1, 15, 16, 17, 577, 33_000)
                                                .map(n -> Arguments.of(f, d, n))));
    }

    @ParameterizedTest(name = "{0}, {1}, {2} values")
    @MethodSource("activationCases")
    void activation_vectorEqualsReference(Activation f, DType dtype, int n) {
        try (TensorScope scope = TensorScope.open()) {
            ActivationRows vector = new VectorActivationRows(workers, reference.activations());
            Tensor x = Samples.normal(DType.F32, 7, n).mulInPlace(4).to(dtype);
            Tensor dy = Samples.normal(DType.F32, 8, n).to(dtype);
            Tensor expected = Tensors.empty(dtype, n);
            Tensor actual = Tensors.full(Double.NaN, dtype, n);
            reference.activations().forward(f, x, expected);
            vector.forward(f, x, actual);
            Close.assertClose("y", actual, expected, tolerance(dtype), 1e-7);
            reference.activations().backward(f, x, dy, expected);
            vector.backward(f, x, dy, actual);
            Close.assertClose("dx", actual, expected, tolerance(dtype), 1e-7);
            vector.backward(f, x, dy, dy);
            assertThat(dy.toFloats()).isEqualTo(actual.toFloats());
        }
    }

    /** Far from 0 all of them are 0 or x, and so are not what their inner powers overflow to. */
    @ParameterizedTest
    @EnumSource(Activation.class)
    void activationFarFromZero_isZeroOrX(Activation f) {
        try (TensorScope scope = TensorScope.open()) {
            ActivationRows vector = new VectorActivationRows(workers, reference.activations());
            float[] far = new float[32];
            float[] y = new float[32];
            float[] slope = new float[32];
            for (int i = 0; i < 32; i++) {
                far[i] = (i % 2 == 0 ? 1 : -1) * (float) Math.pow(10, 1.5 + i);
                y[i] = i % 2 == 0 ? far[i] : 0;
                slope[i] = i % 2 == 0 ? 1 : 0;
            }
            Tensor x = Tensors.of(far, 32);
            Tensor out = Tensors.empty(DType.F32, 32);
            vector.forward(f, x, out);
            assertThat(out.toFloats()).containsExactly(y, Offset.offset(0f));
            vector.backward(f, x, Tensors.full(1, DType.F32, 32), out);
            assertThat(out.toFloats()).containsExactly(slope, Offset.offset(0f));
            Tensor nan = Tensors.full(Double.NaN, DType.F32, 32);
            vector.forward(f, nan, out);
            assertThat(out.toFloats()).containsOnly(Float.NaN);
        }
    }

    static Stream<Arguments> rotaryCases() {
        return Stream.of(DType.F32, DType.BF16, DType.F64)
                .flatMap(d ->
                        Stream.of(
                                        new int[] {1, 1, 1, 2, 1},
                                        new int[] {2, 33, 3, 6, 1},
                                        new int[] {2, 40, 9, 64, 2},
                                        new int[] {3, 5, 1, 34, 1})
                                .map(s -> Arguments.of(d, s[0], s[1], s[2], s[3], s[4])));
    }

    @ParameterizedTest(name = "{0}, batch {1}, time {2}, {3} heads of {4}, {5} tables")
    @MethodSource("rotaryCases")
    void rotary_vectorEqualsReference(
            DType dtype, int batch, int time, int heads, int headDim, int tables) {
        try (TensorScope scope = TensorScope.open()) {
            RotaryRows vector = new VectorRotaryRows(workers, reference.rotary());
            Tensor x = Samples.normal(DType.F32, 7, batch, time, heads, headDim).to(dtype);
            for (int half : new int[] {headDim / 2, Math.max(1, headDim / 8)}) {
                Tensor cos = Samples.normal(DType.F32, 8, tables, time, 1, half);
                Tensor sin = Samples.normal(DType.F32, 9, tables, time, 1, half);
                for (int direction : new int[] {1, -1}) {
                    Tensor expected = Tensors.empty(dtype, x.shape());
                    Tensor actual = Tensors.full(Double.NaN, dtype, x.shape());
                    reference.rotary().rotate(x, cos, sin, direction, expected);
                    vector.rotate(x, cos, sin, direction, actual);
                    String name = "half %d, direction %d".formatted(half, direction);
                    Close.assertClose(name, actual, expected, tolerance(dtype), 0);
                }
            }
        }
    }

    /** A weight in 4 bits, and what decodes it. */
    private record FourBitWeight(Tensor codes, BlockScales scales, CodeTable table, int blockSize) {
        static FourBitWeight of(int out, int in, int blockSize, boolean nested) {
            CodeTable table = new CodeTable(LEVELS, thresholds(), POSITIONS);
            Tensor weight = Samples.normal(DType.F32, 7, out, in);
            Tensor codes = Tensors.empty(DType.U8, (long) out * in / 2);
            Tensor absmax = Tensors.empty(DType.F32, (long) out * in / blockSize);
            new ReferenceFourBit().quantize(weight, table, blockSize, codes, absmax);
            BlockScales scales = nested ? nested(absmax) : BlockScales.plain(absmax);
            return new FourBitWeight(codes, scales, table, blockSize);
        }

        void multiply(FourBitProduct kernel, Tensor x, Tensor y) {
            kernel.multiply(x, codes, scales, table, blockSize, y);
        }
    }

    @ParameterizedTest(name = "{0}, {1} rows, {2} x {3}, blocks of {4}, double quantization {5}")
    @CsvSource({
        "F32, 1, 1, 128, 64, true",
        "F32, 1, 5, 192, 64, false",
        "BF16, 1, 576, 576, 64, true",
        "F32, 3, 70, 1536, 64, false",
        "BF16, 16, 33, 128, 128, true",
        "F32, 2, 300, 512, 256, true",
        "F32, 7, 99, 192, 64, true",
        "F32, 13, 5, 128, 64, false",
        "BF16, 14, 12, 512, 256, true",
        "F32, 15, 79, 192, 64, true",
        "F32, 9, 17, 128, 64, true",
        "F32, 16, 300, 576, 64, true",
        "F32, 24, 31, 192, 64, true",
        "BF16, 45, 20, 256, 128, false",
        "F32, 8, 99, 576, 64, true",
        "F32, 1, 999, 320, 64, true",
        "F32, 1, 130, 2048, 64, false",
        "F32, 70, 61, 448, 64, true",
        "F32, 33, 25, 640, 128, true",
        "F32, 515, 13, 128, 64, true",
        "BF16, 4, 301, 1536, 128, true",
        "F32, 1, 70, 1024, 1024, false"
    })
    void fourBitProduct_twinsEqualReferenceAndRowsDoNotMix(
            DType dtype, int rows, int out, int in, int blockSize, boolean nested) {
        try (TensorScope scope = TensorScope.open()) {
            FourBitWeight w = FourBitWeight.of(out, in, blockSize, nested);
            Tensor x = Samples.normal(DType.F32, 8, rows, in).to(dtype);
            Tensor expected = Tensors.empty(dtype, rows, out);
            w.multiply(new ReferenceFourBitProduct(), x, expected);
            for (FourBitProduct kernel : products()) {
                String name = kernel.getClass().getSimpleName();
                Tensor actual = Tensors.full(Double.NaN, dtype, rows, out);
                boolean takes = kernel.takes(dtype, rows, in, blockSize);
                if (rows > FourBitProduct.MOST_ROWS && !takes) {
                    continue;
                }
                assertThat(takes).as(name).isTrue();
                w.multiply(kernel, x, actual);
                double close = dtype == DType.BF16 ? 0x1p-8 : multipliesWhole(kernel) ? 2e-4 : 2e-6;
                Close.assertClose(name, actual, expected, close, 0);

                Tensor alone = Tensors.empty(dtype, 1, out);
                w.multiply(kernel, x.narrow(0, rows - 1, 1), alone);
                assertThat(alone.toFloats())
                        .as(name)
                        .isEqualTo(actual.narrow(0, rows - 1, 1).toFloats());
            }
        }
    }

    /** Lines of 192 weights end in half a load, whose other half holds the next line's. */
    @Test
    void fourBitProduct_lineBeforeOneThatIsNotFinite_isFinite() {
        try (TensorScope scope = TensorScope.open()) {
            CodeTable table = new CodeTable(LEVELS, thresholds(), POSITIONS);
            Tensor codes = Tensors.of(new byte[4 * 192 / 2], 4 * 192 / 2);
            float[] absmax = new float[4 * 3];
            Arrays.fill(absmax, 1);
            absmax[3] = Float.NaN;
            BlockScales scales = BlockScales.plain(Tensors.of(absmax, absmax.length));
            Tensor x = Tensors.full(1, DType.F32, 1, 192);
            float sum = 192 * LEVELS[0];
            for (FourBitProduct kernel : products()) {
                Tensor y = Tensors.empty(DType.F32, 1, 4);
                kernel.multiply(x, codes, scales, table, 64, y);
                float near = multipliesWhole(kernel) ? -1e-4f * sum : 0;
                assertThat(y.toFloats())
                        .as("%s", kernel)
                        .usingComparatorWithPrecision(near)
                        .containsExactly(sum, Float.NaN, sum, sum);
            }
        }
    }

    /** Whether it rounds x as {@link WholeRows} does. */
    private static boolean multipliesWhole(FourBitProduct kernel) {
        return !(kernel instanceof VectorFourBitProduct || kernel instanceof PairFourBitProduct);
    }

    private static boolean runsAvx2() {
        return VectorWidth.machineHas(256) && MachineCode.fitsSystem();
    }

    /** At any width: what runs it looks at no other vectors. */
    private static boolean runsSse() {
        return CpuFeatures.whole().sse41() && MachineCode.fitsSystem();
    }

    private static boolean runsAvx512() {
        return VectorWidth.machineHas(512) && MachineCode.fitsSystem();
    }

    /** All that run on this machine. */
    private List<FourBitProduct> products() {
        var all = new ArrayList<FourBitProduct>();
        all.add(Kernels.vectorFourBitProduct(workers));
        if (runsAvx512()) {
            all.add(new Avx512FourBitProduct(workers, false));
            if (CpuFeatures.whole().vnni()) {
                all.add(new Avx512FourBitProduct(workers, true));
            }
        }
        if (runsAvx2()) {
            all.add(new Avx2FourBitProduct(workers));
        }
        if (runsSse()) {
            all.add(new SseFourBitProduct(workers));
        }
        return all;
    }

    @Test
    void fourBitProduct_ofMachineCodeRefusesWhatDoesNotFit() {
        assumeTrue(runsSse(), "machine code is for SSE4.1 on x86-64 Linux");
        for (FourBitProduct machine : products().subList(1, products().size())) {
            refusesWhatDoesNotFit(machine);
        }
    }

    private static void refusesWhatDoesNotFit(FourBitProduct machine) {
        try (TensorScope scope = TensorScope.open()) {
            CodeTable table = new CodeTable(LEVELS, thresholds(), POSITIONS);
            Tensor codes = Tensors.empty(DType.U8, 3 * 128 / 2);
            BlockScales scales = BlockScales.plain(Tensors.empty(DType.F32, 6));
            Tensor y = Tensors.empty(DType.F32, 1, 3);
            for (Tensor x :
                    List.of(
                            Tensors.zeros(DType.F32, 1, 256), // of another weight
                            Tensors.zeros(DType.F32, 1, 64), // too short for a load
                            Tensors.zeros(DType.F32, 2, 128), // more rows than y
                            Tensors.zeros(DType.F64, 1, 128))) {
                assertThatThrownBy(() -> machine.multiply(x, codes, scales, table, 64, y))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("are not x and y of a weight");
            }
            BlockScales few = BlockScales.plain(Tensors.empty(DType.F32, 5));
            Tensor x = Tensors.zeros(DType.F32, 1, 128);
            assertThatThrownBy(() -> machine.multiply(x, codes, few, table, 64, y))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void fourBitProduct_takesNeitherManyRowsNorSmallBlocks() {
        FourBitProduct vector = Kernels.vectorFourBitProduct(workers);
        assertThat(vector.takes(DType.BF16, 17, 576, 64)).isFalse();
        assertThat(vector.takes(DType.BF16, 1, 96, 32)).isFalse();
        assertThat(vector.takes(DType.BF16, 1, 64, 64)).isFalse();
        assertThat(vector.takes(DType.F64, 1, 576, 64)).isFalse();
    }

    @ParameterizedTest(name = "{0}, {1} elements")
    @CsvSource({"F32, 1", "BF16, 15", "F32, 16", "BF16, 40001", "F64, 33"})
    void elements_vectorEqualsReference(DType dtype, int count) {
        try (TensorScope scope = TensorScope.open()) {
            ElementRows vector = new VectorElementRows(workers, reference.elements());
            Tensor a = Samples.normal(DType.F32, 7, count).mulInPlace(8).to(dtype);
            Tensor b = Samples.normal(DType.F32, 8, count).to(dtype);
            Tensor expected = Tensors.empty(dtype, count);
            Tensor actual = Tensors.full(Double.NaN, dtype, count);
            reference.elements().add(a, b, expected);
            vector.add(a, b, actual);
            assertThat(actual.toFloats()).isEqualTo(expected.toFloats());
            for (Gate f : Gate.values()) {
                reference.elements().gate(f, a, b, expected);
                vector.gate(f, a, b, actual);
                Close.assertClose("gate " + f, actual, expected, tolerance(dtype), 0);
            }
        }
    }

    @Test
    void gateOfExtremeValues_isThatOfTheReference() {
        try (TensorScope scope = TensorScope.open()) {
            float[] extremes = {
                0f, -0f, 90f, -90f, 1e30f, -1e30f, Float.POSITIVE_INFINITY, Float.NaN
            };
            Tensor gate = Tensors.of(extremes, extremes.length);
            Tensor up = Tensors.full(1, DType.F32, extremes.length);
            Tensor actual = Tensors.empty(DType.F32, extremes.length);
            for (Gate f : Gate.values()) {
                new VectorElementRows(workers, reference.elements()).gate(f, gate, up, actual);
                assertThat(actual.toFloats())
                        .as("%s", f)
                        .containsExactly(
                                new float[] {
                                    0f,
                                    -0f,
                                    90f,
                                    -0f,
                                    1e30f,
                                    -0f,
                                    Float.POSITIVE_INFINITY,
                                    Float.NaN
                                },
                                Offset.offset(1e-37f));
            }
        }
    }

    @ParameterizedTest(name = "{0}, {1} rows, {2} x {3}")
    @CsvSource({"F32, 1, 1, 1", "BF16, 4, 16, 576", "BF16, 1, 576, 8", "F32, 2, 70, 99"})
    void denseProduct_vectorEqualsReferenceAndRowsDoNotMix(DType dtype, int rows, int out, int in) {
        try (TensorScope scope = TensorScope.open()) {
            DenseProduct vector = new VectorDenseProduct(workers, runsAvx2());
            Tensor weight = Samples.normal(DType.F32, 7, out, in).to(dtype);
            Tensor x = Samples.normal(DType.F32, 8, rows, in).to(dtype);
            Tensor expected = Tensors.empty(dtype, rows, out);
            Tensor actual = Tensors.full(Double.NaN, dtype, rows, out);
            reference.denseProduct().multiply(x, weight, expected);
            vector.multiply(x, weight, actual);
            Close.assertClose("product", actual, expected, tolerance(dtype), 1e-6);

            Tensor all = Tensors.empty(dtype, rows, out);
            vector.multiply(x, weight, all);
            Tensor alone = Tensors.empty(dtype, 1, out);
            vector.multiply(x.narrow(0, rows - 1, 1), weight, alone);
            assertThat(alone.toFloats()).isEqualTo(all.narrow(0, rows - 1, 1).toFloats());
        }
    }

    @ParameterizedTest(name = "{0}, ranks {1} and {2}, {3} x {4}")
    @CsvSource({
        "F32, 16, 3, 70, 192",
        "F32, 24, 8, 328, 72",
        "F32, 16, 8, 1544, 24",
        "F32, 64, 16, 520, 8",
        "BF16, 8, 64, 33, 100",
        "F32, 1, 5, 600, 7"
    })
    void denseProduct_updatesOfRowsEqualReferenceAndThoseAlone(
            DType dtype, int rank, int otherRank, int out, int in) {
        boolean machine = CpuFeatures.whole().avx2() && MachineCode.fitsSystem(); // at any width
        try (TensorScope scope = TensorScope.open()) {
            DenseProduct vector = new VectorDenseProduct(workers, machine);
            Tensor x = Samples.normal(DType.F32, 8, 10, in).to(dtype);
            DenseProduct.Update first = update(dtype, 1, 2, rank, out, in);
            DenseProduct.Update other = update(dtype, 4, 6, otherRank, out, in);
            Tensor before = Samples.normal(DType.F32, 9, 10, out).to(dtype);
            Tensor expected = before.copy();
            Tensor actual = before.copy();
            reference.denseProduct().addUpdates(x, List.of(first, other), expected);
            vector.addUpdates(x, List.of(first, other), actual);
            Close.assertClose("updates", actual, expected, 2 * tolerance(dtype), 1e-5);
            assertThat(actual.select(0, 0).toFloats()).isEqualTo(before.select(0, 0).toFloats());
            assertThat(actual.select(0, 3).toFloats()).isEqualTo(before.select(0, 3).toFloats());

            for (int row : new int[] {2, 4, 9}) {
                DenseProduct.Update of = row < 4 ? first : other;
                Tensor alone = before.narrow(0, row, 1).copy();
                var own = new DenseProduct.Update(0, 1, of.a(), of.b(), of.scale());
                vector.addUpdates(x.narrow(0, row, 1), List.of(own), alone);
                assertThat(alone.toFloats()).isEqualTo(actual.narrow(0, row, 1).toFloats());
            }
        }
    }

    private static DenseProduct.Update update(
            DType dtype, int from, int count, int rank, int out, int in) {
        return new DenseProduct.Update(
                from,
                count,
                Samples.normal(DType.F32, rank, rank, in).to(dtype),
                Samples.normal(DType.F32, rank + 1, out, rank).to(dtype),
                0.5);
    }

    static Stream<Arguments> eightBitCases() {
        return Stream.of(
                Arguments.of(DType.F32, 1, 1, 32),
                Arguments.of(DType.BF16, 16, 33, 576),
                Arguments.of(DType.BF16, 1, 700, 96),
                Arguments.of(DType.F32, 9, 40, 2048),
                Arguments.of(DType.BF16, 3, 50, 128));
    }

    /** A weight in 8 bits. */
    private record EightBitWeight(Tensor codes, Tensor scales) {
        static EightBitWeight of(int out, int in) {
            return new EightBitWeight(
                    Samples.normal(DType.F32, 7, out, in).mulInPlace(40).to(DType.I8).contiguous(),
                    Samples.normal(DType.F32, 8, out, in / 32).abs());
        }

        void multiply(EightBitProduct kernel, Tensor x, Tensor y) {
            kernel.multiply(x, codes, scales, y);
        }
    }

    @ParameterizedTest(name = "{0}, {1} rows, {2} x {3}")
    @MethodSource("eightBitCases")
    void eightBitProduct_twinsEqualReferenceAndRowsDoNotMix(
            DType dtype, int rows, int out, int in) {
        try (TensorScope scope = TensorScope.open()) {
            EightBitWeight w = EightBitWeight.of(out, in);
            Tensor x = Samples.normal(DType.F32, 9, rows, in).to(dtype);
            Tensor expected = Tensors.empty(DType.F32, rows, out);
            w.multiply(reference.eightBitProduct(), x, expected);
            var kernels = new ArrayList<EightBitProduct>();
            kernels.add(new VectorEightBitProduct(workers));
            if (runsSse()) {
                kernels.add(new SseEightBitProduct(workers));
            }
            for (EightBitProduct kernel : kernels) {
                Tensor actual = Tensors.full(Double.NaN, DType.F32, rows, out);
                w.multiply(kernel, x, actual);
                Close.assertClose("product", actual, expected, 2e-6, 0);

                Tensor alone = Tensors.empty(DType.F32, 1, out);
                w.multiply(kernel, x.narrow(0, rows - 1, 1), alone);
                assertThat(alone.toFloats()).isEqualTo(actual.narrow(0, rows - 1, 1).toFloats());
            }
        }
    }

    @ParameterizedTest(name = "{0}, {1} rows, {2} x {3}")
    @MethodSource("eightBitCases")
    void eightBitProduct_ofMachineCodeHasTheBitsOfTheVectorApi(
            DType dtype, int rows, int out, int in) {
        assumeTrue(runsAvx512() || runsAvx2(), "machine code is for AVX2 on x86-64 Linux");
        try (TensorScope scope = TensorScope.open()) {
            EightBitWeight w = EightBitWeight.of(out, in);
            Tensor x = Samples.normal(DType.F32, 9, rows, in).to(dtype);
            Tensor expected = Tensors.empty(DType.F32, rows, out);
            Tensor actual = Tensors.full(Double.NaN, DType.F32, rows, out);
            w.multiply(new VectorEightBitProduct(workers), x, expected);
            EightBitProduct machine =
                    runsAvx512()
                            ? new Avx512EightBitProduct(workers)
                            : new Avx2EightBitProduct(workers);
            w.multiply(machine, x, actual);
            assertThat(actual.toFloats()).isEqualTo(expected.toFloats());
        }
    }

    /** 16 uneven levels in rising order. */
    private static final float[] LEVELS = {
        -1f, -.7f, -.53f, -.39f, -.28f, -.18f, -.09f, 0f, .08f, .16f, .25f, .34f, .44f, .56f, .72f,
        1f
    };

    private static final byte[] POSITIONS = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

    private static float[] thresholds() {
        float[] out = new float[15];
        for (int i = 0; i < 15; i++) {
            out[i] = (LEVELS[i] + LEVELS[i + 1]) / 2;
        }
        return out;
    }

    /** Scales as double quantization stores them: any codes and second-level scales will do. */
    private static BlockScales nested(Tensor absmax) {
        float[] map = new float[256];
        for (int i = 0; i < 256; i++) {
            map[i] = i / 255f - 0.5f;
        }
        int blocks = (int) absmax.count();
        byte[] codes = new byte[blocks];
        new Random(9).nextBytes(codes);
        int groups = (blocks + BlockScales.NESTED_BLOCK - 1) / BlockScales.NESTED_BLOCK;
        return new BlockScales(
                Tensors.of(codes, blocks), Samples.normal(DType.F32, 10, groups).abs(), map, 2.5f);
    }

    @Test
    void fastExp_staysWithinTwoUnitsOfMath() {
        try (TensorScope scope = TensorScope.open()) {
            Tensor t = Tensors.empty(DType.F32, 16);
            FloatMemory rows = FloatMemory.of(t);
            for (double x = 0; x > -100; x -= 0.0037) {
                float value = (float) x;
                rows.set(0, value);
                float actual = FastExp.of(rows.load(0)).lane(0);
                float expected = (float) Math.exp(value);
                if (value >= -87) {
                    assertThat(actual)
                            .as("exp(%s)", value)
                            .isCloseTo(expected, Offset.offset(2 * Math.ulp(expected)));
                } else {
                    assertThat(actual).as("exp(%s)", value).isBetween(0f, 2e-38f);
                }
            }
        }
    }

    /**
     * Relative to the largest: bf16 rounds to 2^-9, and sums in another order may flip a rounding.
     */
    private static double tolerance(DType dtype) {
        return switch (dtype) {
            case BF16 -> 0x1p-8;
            case F64 -> 1e-12;
            default -> 2e-6;
        };
    }
}
