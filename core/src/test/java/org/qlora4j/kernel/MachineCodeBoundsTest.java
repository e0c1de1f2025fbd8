package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.tensor.CpuFeatures;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Machine code on tensors that end where a page begins which nobody may touch: a read behind one
 * would end this JVM.
 */
class MachineCodeBoundsTest {
    private static final long PAGE = 4096;
    private static final boolean AVX512 = VectorWidth.machineHas(512);
    private static final boolean AVX2 = VectorWidth.machineHas(256);
    private final Workers workers = new Workers(2);

    @BeforeEach
    void systemOfTheCode() {
        assumeTrue(
                MachineCode.fitsSystem() && CpuFeatures.whole().sse41(),
                "machine code is for SSE4.1 on x86-64 Linux");
    }

    @ParameterizedTest(name = "{0} rows, {1} x {2}, blocks of {3}, double quantization {4}")
    @CsvSource({
        "1, 5, 192, 64, true",
        "9, 3, 128, 128, true",
        "2, 7, 576, 64, false",
        "16, 7, 192, 64, true"
    })
    void fourBitProduct_readsNothingBehindItsTensors(
            int rows, int out, int in, int blockSize, boolean nested) throws Throwable {
        int blocks = out * in / blockSize;
        float[] levels = new float[16];
        float[] thresholds = new float[15];
        byte[] codeOfPosition = new byte[16];
        for (byte i = 0; i < 16; i++) {
            levels[i] = i - 8;
            codeOfPosition[i] = i;
            if (i < 15) {
                thresholds[i] = i - 7.5f;
            }
        }
        float[] map = new float[256];
        Arrays.fill(map, 1);
        try (TensorScope scope = TensorScope.open()) {
            Tensor codes = atTheEnd(Tensors.full(0x99, DType.U8, (long) out * in / 2));
            BlockScales scales =
                    nested
                            ? new BlockScales(
                                    atTheEnd(Tensors.zeros(DType.U8, blocks)),
                                    atTheEnd(Tensors.full(1, DType.F32, 1)),
                                    map,
                                    0)
                            : BlockScales.plain(atTheEnd(Tensors.full(1, DType.F32, blocks)));
            Tensor x = Tensors.full(1, DType.F32, rows, in);
            Tensor y = Tensors.empty(DType.F32, rows, out);
            CodeTable table = new CodeTable(levels, thresholds, codeOfPosition);
            for (FourBitProduct kernel : fourBitProducts()) {
                y.fill(Double.NaN);
                kernel.multiply(x, codes, scales, table, blockSize, y);
                assertThat(y.toFloats()).containsOnly(in); // each weight is level 9, which is 1
            }
        }
    }

    private List<FourBitProduct> fourBitProducts() {
        var all = new ArrayList<FourBitProduct>(List.of(new SseFourBitProduct(workers)));
        if (AVX512 || AVX2) {
            all.add(
                    AVX512
                            ? new Avx512FourBitProduct(workers, false)
                            : new Avx2FourBitProduct(workers));
        }
        return all;
    }

    private List<EightBitProduct> eightBitProducts() {
        var all = new ArrayList<EightBitProduct>(List.of(new SseEightBitProduct(workers)));
        if (AVX512 || AVX2) {
            all.add(AVX512 ? new Avx512EightBitProduct(workers) : new Avx2EightBitProduct(workers));
        }
        return all;
    }

    @ParameterizedTest(name = "{0} rows, {1} x {2}")
    @CsvSource({"1, 5, 96", "9, 3, 128"})
    void eightBitProduct_readsNothingBehindItsTensors(int rows, int out, int in) throws Throwable {
        try (TensorScope scope = TensorScope.open()) {
            Tensor codes = atTheEnd(Tensors.full(-1, DType.I8, out, in));
            Tensor scales = atTheEnd(Tensors.full(2, DType.F32, out, in / EightBitProduct.BLOCK));
            Tensor x = Tensors.full(1, DType.F32, rows, in);
            Tensor y = Tensors.empty(DType.F32, rows, out);
            for (EightBitProduct kernel : eightBitProducts()) {
                y.fill(Double.NaN);
                kernel.multiply(x, codes, scales, y);
                assertThat(y.toFloats()).containsOnly(-2 * in);
            }
        }
    }

    @Test
    void decodingAndLowRankProducts_readNothingBehindTheirTensors() throws Throwable {
        assumeTrue(AVX2, "this machine code is for AVX2");
        try (TensorScope scope = TensorScope.open()) {
            float[] levels = new float[16];
            Arrays.fill(levels, 3);
            Tensor out = atTheEnd(Tensors.zeros(DType.F32, 3, 64));
            new Avx2FourBit(workers, new PairFourBit(workers))
                    .dequantize(
                            atTheEnd(Tensors.full(0x77, DType.U8, 3 * 64 / 2)),
                            BlockScales.plain(atTheEnd(Tensors.full(2, DType.F32, 3))),
                            new CodeTable(levels, new float[15], new byte[16]),
                            64,
                            out);
            assertThat(out.toFloats()).containsOnly(6);

            Tensor y = atTheEnd(Tensors.empty(DType.F32, 1, 16));
            Tensor x = atTheEnd(Tensors.full(1, DType.F32, 1, 24));
            Tensor weight = atTheEnd(Tensors.full(2, DType.F32, 16, 24));
            new VectorDenseProduct(workers, true).multiply(x, weight, y);
            assertThat(y.toFloats()).containsOnly(2 * 24);

            Tensor a = atTheEnd(Tensors.full(1, DType.F32, 8, 24));
            Tensor b = atTheEnd(Tensors.full(0.5, DType.F32, 16, 8));
            new VectorDenseProduct(workers, true)
                    .addUpdates(x, List.of(new DenseProduct.Update(0, 1, a, b, 1)), y);
            assertThat(y.toFloats()).containsOnly(2 * 24 + 8 * 24 / 2);
        }
    }

    /** A text that fills its room, and equal keys: each value counts as much as the next. */
    @Test
    void attentionOfAStep_readsNothingBehindItsTensors() throws Throwable {
        assumeTrue(CpuFeatures.whole().avx2(), "this machine code is for AVX2");
        try (TensorScope scope = TensorScope.open()) {
            Tensor one = atTheEnd(Tensors.full(1, DType.F32, 1, 1, 8));
            Tensor queries = atTheEnd(Tensors.full(1, DType.F32, 1, 3, 8));
            Tensor keys = atTheEnd(Tensors.full(1, DType.F32, 1, 2, 8, 16));
            Tensor values = atTheEnd(Tensors.full(1, DType.F32, 1, 32, 8));
            Tensor out = atTheEnd(Tensors.zeros(DType.F32, 1, 3, 8));
            new VectorStreamAttention(workers, new ReferenceStreamAttention(), true)
                    .step(
                            queries,
                            one,
                            one,
                            new Tensor[] {keys},
                            new Tensor[] {values},
                            new int[] {31},
                            1,
                            0,
                            0,
                            out);
            for (float value : out.toFloats()) {
                assertThat(value).isCloseTo(1, within(1e-6f));
            }
        }
    }

    /** The same before a forbidden page; its few pages stay mapped. */
    private static Tensor atTheEnd(Tensor tensor) throws Throwable {
        long bytes = Math.ceilDiv(tensor.byteSize(), PAGE) * PAGE;
        MemorySegment pages = MachineCode.map(bytes + PAGE);
        MachineCode.protect(pages.asSlice(bytes), 0);
        MemorySegment memory = pages.asSlice(bytes - tensor.byteSize(), tensor.byteSize());
        memory.copyFrom(tensor.segment());
        return Tensors.over(memory, tensor.dtype(), tensor.shape());
    }
}
