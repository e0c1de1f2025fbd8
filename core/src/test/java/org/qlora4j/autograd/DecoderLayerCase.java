package org.qlora4j.autograd;

import static org.qlora4j.autograd.OperationCase.shape;
import static org.qlora4j.autograd.OperationCase.weight;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.qlora4j.autograd.OperationCase.Run;
import org.qlora4j.autograd.OperationCase.Shape;
import org.qlora4j.kernel.Gate;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Raw;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Samples;

/**
 * Small decoder layers (norm, grouped rotary attention, norm, gated MLP) in which every weight
 * learns, with an update of rank 3 on the query projection.
 *
 * @param layers how many, one {@link Tape#block} each
 * @param checkpoint whether the blocks are checkpointed
 * @param dropout of the update
 */
record DecoderLayerCase(int layers, boolean checkpoint, double dropout) {
    private static final int BATCH = 2;
    private static final int TIME = 5;
    private static final int HIDDEN = 24;
    private static final int HEADS = 4;
    private static final int KV_HEADS = 2;
    private static final int HEAD_DIM = 6;
    private static final int MLP = 40;
    private static final int PARAMETERS = 11;
    private static final double EPS = 1e-5;
    private static final byte[] VISIBLE = {1, 1, 1, 1, 1, 0, 0, 1, 1, 1};
    private static final long[] TABLE = {1, TIME, 1, HEAD_DIM / 2};

    OperationCase asCase(String name) {
        List<Shape> parameters = new ArrayList<>();
        for (int i = 0; i < layers; i++) {
            parameters.addAll(
                    List.of(
                            shape(HIDDEN),
                            weight(HEADS * HEAD_DIM, HIDDEN),
                            weight(KV_HEADS * HEAD_DIM, HIDDEN),
                            weight(KV_HEADS * HEAD_DIM, HIDDEN),
                            weight(HIDDEN, HEADS * HEAD_DIM),
                            shape(HIDDEN),
                            weight(MLP, HIDDEN),
                            weight(MLP, HIDDEN),
                            weight(HIDDEN, MLP),
                            weight(3, HIDDEN),
                            weight(HEADS * HEAD_DIM, 3)));
        }
        List<Shape> inputs = List.of(shape(BATCH, TIME, HIDDEN));
        return new OperationCase(name, 71, inputs, parameters, this::ours, this::judge);
    }

    private Var ours(Run run) {
        AttentionMask mask = run.own(new AttentionMask(BATCH, TIME, TIME, VISIBLE));
        Rotary.Table rope =
                new Rotary.Table(run.table(angles(0), TABLE), run.table(angles(1), TABLE));
        Var x = run.x(0);
        for (int i = 0; i < layers; i++) {
            int first = i * PARAMETERS;
            x = run.tape.block(x, checkpoint, (tape, h) -> layer(tape, h, run, first, rope, mask));
        }
        return x;
    }

    private Var layer(Tape tape, Var x, Run run, int first, Rotary.Table rope, AttentionMask mask) {
        var lora = new LoraFactors(run.p(first + 9), run.p(first + 10), 0.5, dropout);
        Var normed = RmsNorm.apply(tape, x, run.p(first), EPS);
        Var q = Linear.apply(tape, normed, dense(run, first + 1), null, lora);
        Var k = Linear.apply(tape, normed, dense(run, first + 2), null, null);
        Var v = Linear.apply(tape, normed, dense(run, first + 3), null, null);
        Var mixed =
                Attention.apply(
                        tape,
                        Rotary.apply(tape, q, rope, HEADS),
                        Rotary.apply(tape, k, rope, KV_HEADS),
                        v,
                        mask,
                        AttentionShape.of(HEAD_DIM));
        Var h = Add.apply(tape, x, Linear.apply(tape, mixed, dense(run, first + 4), null, null));
        Var inner = RmsNorm.apply(tape, h, run.p(first + 5), EPS);
        Var gate = Linear.apply(tape, inner, dense(run, first + 6), null, null);
        Var up = Linear.apply(tape, inner, dense(run, first + 7), null, null);
        Var gated = GatedMlp.apply(tape, Gate.SILU, gate, up);
        return Add.apply(tape, h, Linear.apply(tape, gated, dense(run, first + 8), null, null));
    }

    private static Weight dense(Run run, int i) {
        return new Weight.Dense(run.p(i));
    }

    private org.bytedeco.pytorch.Tensor judge(
            org.bytedeco.pytorch.Tensor[] inputs, org.bytedeco.pytorch.Tensor[] parameters) {
        var x = inputs[0];
        for (int i = 0; i < layers; i++) {
            var p = java.util.Arrays.copyOfRange(parameters, i * PARAMETERS, (i + 1) * PARAMETERS);
            var normed = norm(x, p[0]);
            var update = torch.linear(torch.linear(normed, p[9]), p[10]).mul(new Scalar(0.5));
            var q = heads(torch.linear(normed, p[1]).add(update), HEADS, true);
            var k = heads(torch.linear(normed, p[2]), KV_HEADS, true);
            var v = heads(torch.linear(normed, p[3]), KV_HEADS, false);
            var h = x.add(torch.linear(attention(q, k, v), p[4]));
            var inner = norm(h, p[5]);
            var gated = torch.silu(torch.linear(inner, p[6])).mul(torch.linear(inner, p[7]));
            x = h.add(torch.linear(gated, p[8]));
        }
        return x;
    }

    private static org.bytedeco.pytorch.Tensor norm(
            org.bytedeco.pytorch.Tensor x, org.bytedeco.pytorch.Tensor weight) {
        var sum = x.mul(x).sum(new long[] {-1}, true, new ScalarTypeOptional());
        var inverse = sum.div(new Scalar((double) HIDDEN)).add(new Scalar(EPS)).rsqrt();
        return x.mul(inverse).mul(weight);
    }

    /** [batch, heads, time, headDim], key heads repeated for their group. */
    private static org.bytedeco.pytorch.Tensor heads(
            org.bytedeco.pytorch.Tensor x, int heads, boolean rotate) {
        var split = x.view(BATCH, TIME, heads, HEAD_DIM);
        if (rotate) {
            int half = HEAD_DIM / 2;
            var turned =
                    torch.cat(
                            new TensorVector(
                                    split.narrow(3, half, half).neg(), split.narrow(3, 0, half)),
                            -1);
            split = split.mul(twice(angles(0))).add(turned.mul(twice(angles(1))));
        }
        var first = split.transpose(1, 2);
        return heads == HEADS
                ? first
                : torch.index_select(first, 1, Raw.of(Tensors.of(new long[] {0, 0, 1, 1}, 4)));
    }

    private static org.bytedeco.pytorch.Tensor attention(
            org.bytedeco.pytorch.Tensor q,
            org.bytedeco.pytorch.Tensor k,
            org.bytedeco.pytorch.Tensor v) {
        float[] seen = new float[BATCH * TIME * TIME];
        for (int b = 0; b < BATCH; b++) {
            for (int row = 0; row < TIME; row++) {
                for (int key = 0; key <= row; key++) {
                    seen[(b * TIME + row) * TIME + key] = VISIBLE[b * TIME + key];
                }
            }
        }
        Tensor visible = Tensors.of(seen, BATCH, 1, TIME, TIME);
        var scores = q.matmul(k.transpose(-2, -1)).div(new Scalar(Math.sqrt(HEAD_DIM)));
        var masked = scores.masked_fill(Raw.of(visible.equalTo(0)), new Scalar(-1e30));
        var p = masked.softmax(-1).mul(Raw.of(visible.to(DType.F64)));
        return p.matmul(v).transpose(1, 2).reshape(BATCH, TIME, HEADS * HEAD_DIM);
    }

    /** Cosines or sines of random angles [time, headDim / 2]. */
    private static float[] angles(int sine) {
        float[] angles = Samples.normal(TIME * HEAD_DIM / 2, 72);
        for (int i = 0; i < angles.length; i++) {
            angles[i] = (float) (sine == 0 ? Math.cos(angles[i]) : Math.sin(angles[i]));
        }
        return angles;
    }

    private static org.bytedeco.pytorch.Tensor twice(float[] values) {
        Tensor half = Tensors.of(values, TABLE).to(DType.F64);
        return torch.cat(new TensorVector(Raw.of(half), Raw.of(half)), -1);
    }
}
