package org.qlora4j.autograd;

import static org.qlora4j.autograd.OperationCase.shape;

import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Raw;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Samples;

class RotaryGradientTest implements F64GradientSuite {
    static Stream<OperationCase> cases() {
        return Stream.of(
                rotary("a model's sizes", 2, 257, 9, 64, false),
                rotary("head dim 2", 1, 7, 3, 2, false),
                rotary("head dim 6, positions of each sequence", 3, 5, 1, 6, true),
                rotary("one position", 1, 1, 2, 4, false),
                partial("a quarter of each head, as Pythia's", 2, 33, 4, 64, 16),
                partial("2 of 6", 1, 5, 3, 6, 2));
    }

    private static OperationCase partial(
            String name, int batch, int time, int heads, int headDim, int turned) {
        return rotary(name, batch, time, heads, headDim, turned, false);
    }

    private static OperationCase rotary(
            String name, int batch, int time, int heads, int headDim, boolean perSequence) {
        return rotary(name, batch, time, heads, headDim, headDim, perSequence);
    }

    private static OperationCase rotary(
            String name,
            int batch,
            int time,
            int heads,
            int headDim,
            int turned,
            boolean perSequence) {
        int half = turned / 2;
        long[] tableShape = {perSequence ? batch : 1, time, 1, half};
        float[] angles = Samples.normal((perSequence ? batch : 1) * time * half, 41);
        float[] cos = new float[angles.length];
        float[] sin = new float[angles.length];
        for (int i = 0; i < angles.length; i++) {
            cos[i] = (float) Math.cos(angles[i]);
            sin[i] = (float) Math.sin(angles[i]);
        }
        return new OperationCase(
                name,
                41,
                List.of(shape(batch, time, (long) heads * headDim)),
                List.of(),
                run -> {
                    var table =
                            new Rotary.Table(
                                    run.table(cos, tableShape), run.table(sin, tableShape));
                    return Rotary.apply(run.tape, run.x(0), table, heads);
                },
                (x, p) -> {
                    var whole = x[0].view(batch, time, heads, headDim);
                    var split = whole.narrow(3, 0, turned);
                    var crossed = cat(split.narrow(3, half, half).neg(), split.narrow(3, 0, half));
                    var rotated =
                            split.mul(twice(cos, tableShape))
                                    .add(crossed.mul(twice(sin, tableShape)));
                    return cat(rotated, whole.narrow(3, turned, headDim - turned));
                });
    }

    /** transformers' layout: the same angles for both halves of a head. */
    private static org.bytedeco.pytorch.Tensor twice(float[] values, long... shape) {
        Tensor half = Tensors.of(values, shape).to(DType.F64);
        return cat(Raw.of(half), Raw.of(half));
    }

    private static org.bytedeco.pytorch.Tensor cat(
            org.bytedeco.pytorch.Tensor a, org.bytedeco.pytorch.Tensor b) {
        return torch.cat(new TensorVector(a, b), -1);
    }
}
