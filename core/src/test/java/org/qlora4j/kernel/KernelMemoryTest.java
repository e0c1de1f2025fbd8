package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.qlora4j.quant.DynamicMap;
import org.qlora4j.quant.QuantType;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Device;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Samples;

/** What plain kernels are said to hold beside the tensor layer's own count; seed 1. */
class KernelMemoryTest {
    private static final KernelMemory PLAIN = new KernelMemory(true, true, false);
    private static final int ROWS = 96;
    private static final int SIZE = 640;
    private static final long N = ROWS * SIZE;

    private final Kernels plain = Kernels.reference(Device.CPU, "test");

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void plainKernels_holdWhatIsSaid(DType dtype) {
        int width = dtype.bytes();
        try (TensorScope scope = TensorScope.open()) {
            Tensor a = Samples.normal(dtype, 1, 1, ROWS, SIZE);
            Tensor b = Samples.normal(dtype, 2, 1, ROWS, SIZE);
            Tensor out = Tensors.empty(dtype, 1, ROWS, SIZE);
            RowMask mask = RowMask.open(ROWS, SIZE);
            holds(
                    "softmax",
                    PLAIN.softmax(N, width),
                    () -> plain.attentionSoftmax().forward(out.copyFrom(a), 1, mask));
            holds(
                    "softmax's gradient",
                    PLAIN.softmaxBackward(N, width),
                    () -> plain.attentionSoftmax().backward(out, b, 1, mask));
            Tensor weight = Samples.normal(dtype, 3, SIZE);
            Tensor inverse = Tensors.empty(DType.F32, ROWS);
            holds(
                    "norm",
                    PLAIN.norm(N, width),
                    () -> plain.norm().forward(a, weight, 0, 1e-5, out, inverse));
            holds(
                    "norm's gradient",
                    PLAIN.normBackward(N, width),
                    () -> plain.norm().backward(a, weight, 0, inverse, b, out));
            holds("sum", PLAIN.elements(N, width), () -> plain.elements().add(a, b, out));
            holds(
                    "gate",
                    PLAIN.elements(N, width),
                    () -> plain.elements().gate(Gate.SILU, a, b, out));
            Tensor angles = Samples.normal(DType.F32, 4, 1, ROWS, 1, 32);
            Tensor heads = Tensors.empty(dtype, 1, ROWS, SIZE / 64, 64);
            holds(
                    "rotary",
                    PLAIN.rotary(N, width),
                    () -> plain.rotary().rotate(a, angles, angles, 1, heads));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void plainLoss_holdsWhatIsSaid(DType dtype) {
        try (TensorScope scope = TensorScope.open()) {
            int hidden = 160;
            Tensor x = Samples.normal(dtype, 1, ROWS, hidden);
            Tensor weight = Samples.normal(dtype, 2, SIZE, hidden);
            Tensor logits = x.linear(weight, null);
            long[] labels = new Random(1).longs(ROWS, 0, SIZE).toArray();
            holds(
                    "loss",
                    PLAIN.loss(ROWS, hidden, SIZE, dtype.bytes()),
                    () -> plain.crossEntropy().lossAndGradient(x, weight, logits, labels, true));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void plainDecoding_holdsWhatIsSaid(DType dtype) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor codes = Tensors.zeros(DType.U8, N / 2);
            Tensor nested = Tensors.full(1, DType.F32, Math.ceilDiv(N / 64, 256));
            BlockScales scales =
                    new BlockScales(Tensors.zeros(DType.U8, N / 64), nested, new float[256], 0);
            Tensor out = Tensors.empty(dtype, N);
            holds(
                    "decoding",
                    PLAIN.decoding(N, 64),
                    () ->
                            plain.fourBit()
                                    .dequantize(codes, scales, QuantType.NF4.table(), 64, out));
        }
    }

    @ParameterizedTest
    @EnumSource(names = "F32")
    void plainEightBitAdam_holdsWhatIsSaid(DType dtype) {
        EightBitTable table = new EightBitTable(DynamicMap.SIGNED.values());
        try (TensorScope scope = TensorScope.open()) {
            long blocks = EightBitMoments.blocks(N);
            EightBitMoments moments =
                    new EightBitMoments(
                            Tensors.zeros(DType.U8, N),
                            Tensors.zeros(DType.F32, blocks),
                            table,
                            Tensors.zeros(DType.U8, N),
                            Tensors.zeros(DType.F32, blocks),
                            table);
            Tensor weights = Samples.normal(dtype, 1, N);
            Tensor gradients = Samples.normal(dtype, 2, N);
            AdamStep step = new AdamStep(0.9, 0.999, 1, -1e-3, 1, 1e-8);
            holds(
                    "8-bit AdamW",
                    PLAIN.eightBitAdam(N),
                    () -> plain.eightBitAdam().step(weights, gradients, moments, step));
        }
    }

    /** Within a twentieth: rows' sums and tables are small beside the rows. */
    private static void holds(String what, long said, Runnable kernel) {
        long before = NativeMemory.liveBytes();
        NativeMemory.resetPeak();
        kernel.run();
        assertThat(NativeMemory.peakBytes() - before)
                .as(what)
                .isCloseTo(said, Percentage.withPercentage(5));
    }
}
