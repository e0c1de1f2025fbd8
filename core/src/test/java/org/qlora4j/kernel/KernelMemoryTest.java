package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
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

/**
 * Kernels hold on the meta device, byte for byte, what the tensor layer counts on the CPU; seed 1.
 */
class KernelMemoryTest {
    private static final KernelMemory PLAIN = new KernelMemory(true, true, false);
    private static final int ROWS = 96;
    private static final int SIZE = 640;
    private static final long N = ROWS * SIZE;

    private final Kernels plain = Kernels.reference(Device.CPU, "test");

    private static long held(Runnable kernel) {
        long before = NativeMemory.liveBytes();
        NativeMemory.resetPeak();
        kernel.run();
        return NativeMemory.peakBytes() - before;
    }

    /** Bytes beside arguments and results: softmax, norm, sum, gate, angles, loss, decoding. */
    private static List<Long> ofEach(Kernels kernels, DType dtype) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor a = Samples.normal(dtype, 1, 1, ROWS, SIZE);
            Tensor b = Samples.normal(dtype, 2, 1, ROWS, SIZE);
            Tensor out = Tensors.zeros(dtype, 1, ROWS, SIZE);
            BlockMask mask = BlockMask.open(ROWS, SIZE);
            Tensor weight = Samples.normal(dtype, 3, SIZE);
            Tensor inverse = Tensors.zeros(DType.F32, ROWS);
            Tensor both = Tensors.zeros(DType.F32, 2, ROWS);
            Tensor angles = Samples.normal(DType.F32, 4, 1, ROWS, 1, 32);
            Tensor heads = Tensors.empty(dtype, 1, ROWS, SIZE / 64, 64);
            Tensor table = Samples.normal(dtype, 5, 500, SIZE);
            Tensor logits = a.view(ROWS, SIZE).linear(table, null);
            long[] labels = new Random(1).longs(ROWS, 0, 500).toArray();
            Tensor codes = Tensors.zeros(DType.U8, N / 2);
            Tensor nested = Tensors.full(1, DType.F32, Math.ceilDiv(N / 64, 256));
            BlockScales scales =
                    new BlockScales(Tensors.zeros(DType.U8, N / 64), nested, new float[256], 0);
            return List.of(
                    held(() -> kernels.attentionSoftmax().forward(out, 1, mask)),
                    held(() -> kernels.attentionSoftmax().backward(out, b, 1, mask)),
                    held(() -> kernels.norm().forward(a, weight, 0, 1e-5, out, inverse)),
                    held(() -> kernels.norm().backward(a, weight, 0, inverse, b, out)),
                    held(() -> kernels.layerNorm().forward(a, weight, weight, 1e-5, out, both)),
                    held(() -> kernels.layerNorm().backward(a, weight, both, b, out)),
                    held(() -> kernels.activations().forward(Activation.GELU, a, out)),
                    held(() -> kernels.activations().backward(Activation.GELU, a, b, out)),
                    held(() -> kernels.elements().add(a, b, out)),
                    held(() -> kernels.elements().gate(Gate.SILU, a, b, out)),
                    held(() -> kernels.rotary().rotate(a, angles, angles, 1, heads)),
                    held(() ->
                            kernels.crossEntropy()
                                    .lossAndGradient(
                                            a.view(ROWS, SIZE), table, logits, labels, true)),
                    held(() ->
                            kernels.fourBit()
                                    .dequantize(
                                            codes,
                                            scales,
                                            QuantType.NF4.table(),
                                            64,
                                            out.view(N))));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void plainKernels_holdOnMetaWhatTheyHold(DType dtype) {
        List<Long> real = ofEach(plain, dtype);
        assertThat(real).allMatch(bytes -> bytes > 0);
        assertThat(PLAIN.onMeta(() -> ofEach(Kernels.current(), dtype))).isEqualTo(real);
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void kernelsOfThisProcess_holdOnMetaWhatTheyHold(DType dtype) {
        Kernels here = Kernels.current();
        List<Long> real = ofEach(here, dtype);
        assertThat(KernelMemory.of(here).onMeta(() -> ofEach(Kernels.current(), dtype)))
                .isEqualTo(real);
    }

    /** Functions that no plan of Llama has, forward and backward. */
    @ParameterizedTest
    @EnumSource
    void plainActivation_holdsOnMetaWhatItHolds(Activation f) {
        assertThat(PLAIN.onMeta(() -> ofActivation(Kernels.current().activations(), f)))
                .isEqualTo(ofActivation(plain.activations(), f));
    }

    private static List<Long> ofActivation(ActivationRows rows, Activation f) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor x = Samples.normal(DType.F32, 1, ROWS, SIZE);
            Tensor out = Tensors.zeros(DType.F32, ROWS, SIZE);
            return List.of(
                    held(() -> rows.forward(f, x, out)), held(() -> rows.backward(f, x, x, out)));
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
            // within a twentieth: tables are small beside the rows
            assertThat(held(() -> plain.eightBitAdam().step(weights, gradients, moments, step)))
                    .isCloseTo(PLAIN.eightBitAdam(N), Percentage.withPercentage(5));
        }
    }
}
