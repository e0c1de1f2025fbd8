package org.qlora4j.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.qlora4j.autograd.OperationCase.shape;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.qlora4j.autograd.OperationCase.Run;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Raw;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Samples;

class AttentionGradientTest implements F64GradientSuite {
    /**
     * @param past keys before the first query
     * @param visible [batch, past + time]: 0 for padding; null if there is none
     * @param samples lengths of the samples packed into each row, with padding behind them; null
     *     where a row is one sequence
     */
    record Setup(
            int batch,
            int time,
            int past,
            int heads,
            int kvHeads,
            int headDim,
            byte @Nullable [] visible,
            int @Nullable [][] samples) {
        Setup(
                int batch,
                int time,
                int past,
                int heads,
                int kvHeads,
                int headDim,
                byte @Nullable [] visible) {
            this(batch, time, past, heads, kvHeads, headDim, visible, null);
        }

        /** Rows of packed samples. */
        static Setup packed(int time, int heads, int kvHeads, int headDim, int[]... samples) {
            return new Setup(samples.length, time, 0, heads, kvHeads, headDim, null, samples);
        }

        /** [batch, time]: where the sample of a place begins. */
        int[] starts() {
            int[] starts = new int[batch * time];
            for (int b = 0; b < batch; b++) {
                int at = 0;
                for (int length : Objects.requireNonNull(samples)[b]) {
                    Arrays.fill(starts, b * time + at, b * time + at + length, at);
                    at += length;
                }
                Arrays.fill(starts, b * time + at, (b + 1) * time, at);
            }
            return starts;
        }

        /** [batch, time]: whether a place is no padding. */
        boolean[] real() {
            boolean[] real = new boolean[batch * time];
            for (int b = 0; b < batch; b++) {
                int length = Arrays.stream(Objects.requireNonNull(samples)[b]).sum();
                Arrays.fill(real, b * time, b * time + length, true);
            }
            return real;
        }

        int keys() {
            return past + time;
        }
    }

    static Stream<OperationCase> cases() {
        return Stream.of(
                attention("one position", new Setup(1, 1, 0, 1, 1, 2, null)),
                attention("9 heads on 3 of 64, time 7", new Setup(2, 7, 0, 9, 3, 64, null)),
                attention("time 257 crosses the block", new Setup(1, 257, 0, 3, 1, 6, null)),
                attention("time 300, 9 heads on 3 of 64", new Setup(1, 300, 0, 9, 3, 64, null)),
                attention("8 heads on one, head dim 2", new Setup(2, 7, 0, 8, 1, 2, null)),
                attention("one query after 4 keys", new Setup(2, 1, 4, 4, 2, 6, null)),
                attention("260 queries after 9 keys", new Setup(1, 260, 9, 2, 2, 6, null)),
                attention("padding right", new Setup(3, 7, 0, 4, 2, 6, padded(7, false, 7, 3, 1))),
                attention(
                        "padding left, rows that see nothing",
                        new Setup(3, 7, 0, 4, 2, 6, padded(7, true, 7, 3, 1))),
                attention(
                        "padding left across the block",
                        new Setup(2, 300, 0, 2, 1, 6, padded(300, true, 300, 20))),
                attention(
                        "padding right across the block",
                        new Setup(2, 300, 0, 2, 1, 6, padded(300, false, 260, 20))),
                attention(
                        "padding left before a past",
                        new Setup(2, 3, 5, 4, 2, 6, padded(8, true, 8, 4))),
                attention(
                        "a sequence of nothing but padding",
                        new Setup(2, 5, 0, 2, 2, 6, padded(5, true, 5, 0))),
                attention(
                        "holes among the keys",
                        new Setup(
                                2, 5, 1, 2, 1, 6, new byte[] {1, 0, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1})),
                attention(
                        "packed, one row of three samples and padding",
                        Setup.packed(11, 9, 3, 6, new int[] {4, 1, 3})),
                attention(
                        "packed across the block, rows apart",
                        Setup.packed(
                                300,
                                4,
                                2,
                                6,
                                new int[] {130, 1, 169},
                                new int[] {20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20},
                                new int[] {300},
                                new int[] {3})),
                shaped(
                        "a window of 3 in packed rows",
                        new AttentionShape(0.3, 0, 3),
                        Setup.packed(11, 4, 2, 6, new int[] {4, 1, 6}, new int[] {9})),
                shaped(
                        "a window of 140 across the block, after a past",
                        new AttentionShape(0.4, 0, 140),
                        new Setup(1, 290, 9, 2, 1, 6, null)),
                shaped(
                        "a window of 2 and padding left",
                        new AttentionShape(1, 0, 2),
                        new Setup(3, 7, 0, 4, 2, 6, padded(7, true, 7, 3, 1))),
                shaped(
                        "scores under a cap",
                        new AttentionShape(0.7, 1.5, 0),
                        new Setup(2, 7, 2, 4, 2, 6, null)),
                shaped(
                        "scores under a cap in a window",
                        new AttentionShape(0.7, 0.8, 4),
                        new Setup(1, 150, 0, 2, 2, 6, null)));
    }

    /** For each length a row of so many 1, with 0 before or after them. */
    private static byte[] padded(int keys, boolean left, int... lengths) {
        byte[] visible = new byte[lengths.length * keys];
        for (int b = 0; b < lengths.length; b++) {
            int from = b * keys + (left ? keys - lengths[b] : 0);
            Arrays.fill(visible, from, from + lengths[b], (byte) 1);
        }
        return visible;
    }

    private static OperationCase attention(String name, Setup s) {
        return shaped(name, AttentionShape.of(s.headDim), s);
    }

    private static OperationCase shaped(String name, AttentionShape shape, Setup s) {
        return new OperationCase(
                name,
                51,
                List.of(
                        shape(s.batch, s.time, s.heads, s.headDim),
                        shape(s.batch, s.keys(), s.kvHeads, s.headDim),
                        shape(s.batch, s.keys(), s.kvHeads, s.headDim)),
                List.of(),
                run -> apply(run, s, shape),
                (x, p) -> judge(x[0], x[1], x[2], s, shape));
    }

    private static Var apply(Run run, Setup s) {
        return apply(run, s, AttentionShape.of(s.headDim));
    }

    private static Var apply(Run run, Setup s, AttentionShape shape) {
        AttentionMask mask =
                run.own(
                        s.samples == null
                                ? new AttentionMask(s.batch, s.time, s.keys(), s.visible)
                                : AttentionMask.ofSamples(s.batch, s.time, s.starts(), s.real()));
        return Attention.apply(run.tape, run.x(0), run.x(1), run.x(2), mask, shape);
    }

    /** The textbook form: every head and every key at once. */
    private static org.bytedeco.pytorch.Tensor judge(
            org.bytedeco.pytorch.Tensor q,
            org.bytedeco.pytorch.Tensor k,
            org.bytedeco.pytorch.Tensor v,
            Setup s,
            AttentionShape shape) {
        var scores =
                q.transpose(1, 2)
                        .matmul(repeated(k, s).transpose(-2, -1))
                        .mul(new Scalar(shape.scale()));
        if (shape.softcap() != 0) {
            Scalar cap = new Scalar(shape.softcap());
            scores = scores.div(cap).tanh().mul(cap);
        }
        Tensor seen = Tensors.of(seen(s, shape.window()), s.batch, 1, s.time, s.keys());
        // finite, and taken out again after the softmax: rows that see nothing stay defined
        var masked = scores.masked_fill(Raw.of(seen.equalTo(0)), new Scalar(-1e30));
        var p = masked.softmax(-1).mul(Raw.of(seen.to(DType.F64)));
        return p.matmul(repeated(v, s))
                .transpose(1, 2)
                .reshape(s.batch, s.time, (long) s.heads * s.headDim);
    }

    /** [batch, keys, kvHeads, headDim] to [batch, heads, keys, headDim]. */
    private static org.bytedeco.pytorch.Tensor repeated(org.bytedeco.pytorch.Tensor x, Setup s) {
        long[] kvHeadOfHead = new long[s.heads];
        Arrays.setAll(kvHeadOfHead, h -> h / (s.heads / s.kvHeads));
        return torch.index_select(x.transpose(1, 2), 1, Raw.of(Tensors.of(kvHeadOfHead, s.heads)));
    }

    private static float[] seen(Setup s, int window) {
        float[] seen = new float[s.batch * s.time * s.keys()];
        for (int b = 0; b < s.batch; b++) {
            for (int row = 0; row < s.time; row++) {
                int first = window == 0 ? 0 : Math.max(0, s.past + row - window + 1);
                for (int key = first; key <= s.past + row; key++) {
                    boolean visible = s.visible == null || s.visible[b * s.keys() + key] != 0;
                    if (s.samples != null) {
                        int i = b * s.time + row;
                        visible = s.real()[i] && key >= s.starts()[i];
                    }
                    if (visible) {
                        seen[(b * s.time + row) * s.keys() + key] = 1;
                    }
                }
            }
        }
        return seen;
    }

    @Test
    void queryThatSeesNothing_givesZeroAndTakesNoGradient() {
        Setup s = new Setup(1, 6, 0, 4, 2, 6, padded(6, true, 4));
        try (TensorScope scope = TensorScope.open();
                Run run = attention("two rows of padding", s).run(DType.F32)) {
            Var out = apply(run, s);
            assertThat(out.value().narrow(1, 0, 2).toFloats()).containsOnly(0);
            run.tape.backward(out, Samples.normal(DType.F32, 5, 1, 6, 24));
            for (Var input : run.inputs) {
                try (Tensor gradient = Objects.requireNonNull(input.takeGrad())) {
                    assertThat(gradient.narrow(1, 0, 2).toFloats()).containsOnly(0);
                    assertThat(gradient.narrow(1, 2, 4).abs().sum().item()).isPositive();
                }
            }
        }
    }

    @Test
    void maskOfOtherSizes_isRefused() {
        Setup s = new Setup(2, 3, 1, 2, 1, 4, null);
        try (TensorScope scope = TensorScope.open();
                Run run = attention("sizes", s).run(DType.F32)) {
            for (int[] size : new int[][] {{1, 3, 4}, {3, 3, 4}, {2, 2, 4}, {2, 3, 5}}) {
                AttentionMask mask = run.own(new AttentionMask(size[0], size[1], size[2], null));
                assertThatThrownBy(() ->
                                Attention.apply(
                                        run.tape, run.x(0), run.x(1), run.x(2), mask, shapeOf(run)))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("do not fit a mask of");
            }
            assertThatThrownBy(() -> new AttentionMask(2, 3, 4, new byte[7]))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("attention mask of 7 entries for 2 x 4 keys");
        }
    }

    /** [batch, keys, kvHeads * headDim], as a linear layer gives it. */
    @Test
    void valuesOfRankThree_giveTheSame() {
        Setup s = new Setup(2, 7, 0, 4, 2, 6, null);
        try (TensorScope scope = TensorScope.open();
                Run four = attention("rank four", s).run(DType.F32);
                Run three = attention("rank three", s).run(DType.F32)) {
            AttentionMask mask = four.own(new AttentionMask(2, 7, 7, null));
            Var flat = three.tape.leaf(three.x(2).value().view(2, 7, 12));
            Var expected = apply(four, s);
            Var actual =
                    Attention.apply(three.tape, three.x(0), three.x(1), flat, mask, shapeOf(three));
            assertThat(actual.value().toFloats()).isEqualTo(expected.value().toFloats());
            Tensor gradient = Samples.normal(DType.F32, 5, 2, 7, 24);
            four.tape.backward(expected, gradient);
            three.tape.backward(actual, gradient);
            try (Tensor dv = Objects.requireNonNull(flat.takeGrad());
                    Tensor expectedDv = Objects.requireNonNull(four.x(2).takeGrad())) {
                assertThat(dv.shape()).containsExactly(2, 7, 12);
                assertThat(dv.toFloats()).isEqualTo(expectedDv.toFloats());
            }
            for (Var v : new Var[] {four.x(0), four.x(1), three.x(0), three.x(1)}) {
                v.closeGrad();
            }
        }
    }

    private static AttentionShape shapeOf(Run run) {
        return AttentionShape.of(run.x(0).value().size(3));
    }
}
