package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Poison;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Samples;

/** The reference and the vector kernels on the same input: bit-equal, whatever it is. */
class FourBitTest {
    /** The two data types, written out again: levels by code, and codes in rising order. */
    private static final CodeTable NF4 =
            table(
                    new float[] {
                        -1.0f, -0.6961928f, -0.52507305f, -0.3949175f, -0.28444138f, -0.18477343f,
                        -0.091050036f, 0f, 0.0795803f, 0.1609302f, 0.2461123f, 0.33791524f,
                        0.44070983f, 0.562617f, 0.72295684f, 1f
                    },
                    0,
                    1,
                    2,
                    3,
                    4,
                    5,
                    6,
                    7,
                    8,
                    9,
                    10,
                    11,
                    12,
                    13,
                    14,
                    15);

    private static final CodeTable FP4 =
            table(
                    new float[] {
                        0f,
                        0.0625f / 12,
                        8f / 12,
                        1f,
                        4f / 12,
                        6f / 12,
                        2f / 12,
                        3f / 12,
                        0f,
                        -0.0625f / 12,
                        -8f / 12,
                        -1f,
                        -4f / 12,
                        -6f / 12,
                        -2f / 12,
                        -3f / 12
                    },
                    11,
                    10,
                    13,
                    12,
                    15,
                    14,
                    9,
                    0,
                    8,
                    1,
                    6,
                    7,
                    4,
                    5,
                    2,
                    3);

    private static CodeTable table(float[] levels, int... codes) {
        byte[] codeOfPosition = new byte[16];
        float[] thresholds = new float[15];
        for (int i = 0; i < 16; i++) {
            codeOfPosition[i] = (byte) codes[i];
        }
        for (int i = 0; i < 15; i++) {
            thresholds[i] = (float) (((double) levels[codes[i]] + levels[codes[i + 1]]) / 2);
        }
        return new CodeTable(levels, thresholds, codeOfPosition);
    }

    private static CodeTable table(String name) {
        return name.equals("nf4") ? NF4 : FP4;
    }

    private final TensorScope scope = TensorScope.open();
    private final FourBit reference = new ReferenceFourBit();
    private final List<FourBit> vector = new ArrayList<>();

    @BeforeEach
    void makeKernels() {
        for (int threads = 1; threads <= 3; threads++) {
            Workers workers = WORKERS.get(threads - 1);
            vector.add(Kernels.vectorFourBit(workers));
            if (VectorWidth.machineHas(256) && MachineCode.fitsSystem()) {
                vector.add(new Avx2FourBit(workers, new PairFourBit(workers)));
            }
        }
    }

    /** Made once: their threads stay. */
    private static final List<Workers> WORKERS =
            IntStream.rangeClosed(1, 3).mapToObj(Workers::new).toList();

    @AfterEach
    void closeScope() {
        scope.close();
    }

    /** Codes and absmax of some values. */
    private record Packed(byte[] codes, float[] absmax) {}

    private static Packed quantize(FourBit kernel, Tensor values, CodeTable table, int block) {
        long n = values.count();
        try (Poison poison = Poison.open()) {
            Tensor codes = Tensors.empty(DType.U8, (n + 1) / 2);
            Tensor absmax = Tensors.empty(DType.F32, (n + block - 1) / block);
            kernel.quantize(values, table, block, codes, absmax);
            return new Packed(
                    codes.segment().toArray(java.lang.foreign.ValueLayout.JAVA_BYTE),
                    absmax.toFloats());
        }
    }

    private void assertTwinsQuantizeAlike(Tensor values, CodeTable table, int block) {
        Packed expected = quantize(reference, values, table, block);
        for (FourBit kernel : vector) {
            Packed actual = quantize(kernel, values, table, block);
            assertThat(actual.absmax).as("absmax").isEqualTo(expected.absmax);
            assertThat(actual.codes).as("codes").isEqualTo(expected.codes);
        }
    }

    private void assertTwinsDequantizeAlike(
            Tensor codes, BlockScales scales, CodeTable table, int block, int n) {
        for (DType to : List.of(DType.F32, DType.BF16)) {
            byte[] expected = dequantize(reference, codes, scales, table, block, n, to);
            for (FourBit kernel : vector) {
                assertThat(dequantize(kernel, codes, scales, table, block, n, to))
                        .as("%s", to)
                        .isEqualTo(expected);
            }
        }
    }

    private static byte[] dequantize(
            FourBit kernel,
            Tensor codes,
            BlockScales scales,
            CodeTable table,
            int block,
            int n,
            DType to) {
        try (Poison poison = Poison.open()) {
            Tensor out = Tensors.empty(to, n);
            kernel.dequantize(codes, scales, table, block, out);
            return out.segment().toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
        }
    }

    /** None, one, half a block of each kind, their neighbours, and a long odd one. */
    static Stream<Arguments> sizes() {
        return Stream.of("nf4", "fp4")
                .flatMap(type ->
                        IntStream.of(0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 4099)
                                .mapToObj(n -> Arguments.of(type, n)));
    }

    @ParameterizedTest(name = "{0}, {1} values, seed 42")
    @MethodSource("sizes")
    void anySize_quantizesAndDequantizesAlike(String type, int n) {
        for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16, DType.F64)) {
            for (int block : new int[] {32, 64}) {
                roundTrip(Samples.normal(dtype, 42, n), table(type), block);
            }
        }
    }

    static Stream<Arguments> blockSizes() {
        return Stream.of("nf4", "fp4")
                .flatMap(type ->
                        IntStream.iterate(32, block -> block <= 4096, block -> 2 * block)
                                .mapToObj(block -> Arguments.of(type, block)));
    }

    @ParameterizedTest(name = "{0}, block {1}, seed 43")
    @MethodSource("blockSizes")
    void anyBlockSize_quantizesAndDequantizesAlike(String type, int block) {
        for (int n : new int[] {block - 1, block, block + 1, 3 * block, 3 * block + 33}) {
            roundTrip(Samples.normal(DType.F32, 43, n), table(type), block);
        }
    }

    /** More than one task of 2^17 values, and a rest. */
    @ParameterizedTest(name = "{0} more than three tasks, seed 44")
    @ValueSource(ints = {0, 1, 4097})
    void severalTasks_quantizeAndDequantizeAlike(int rest) {
        for (int block : new int[] {64, 4096}) {
            roundTrip(Samples.normal(DType.F32, 44, 3 * (1 << 17) + rest), NF4, block);
        }
    }

    /** Quantizes, then dequantizes with plain and with nested scales. */
    private void roundTrip(Tensor values, CodeTable table, int block) {
        assertTwinsQuantizeAlike(values, table, block);
        int n = Math.toIntExact(values.count());
        Packed packed = quantize(reference, values, table, block);
        Tensor codes = Tensors.of(packed.codes, packed.codes.length);
        Tensor absmax = Tensors.of(packed.absmax, packed.absmax.length);
        assertTwinsDequantizeAlike(codes, BlockScales.plain(absmax), table, block, n);
        assertTwinsDequantizeAlike(codes, nested(packed.absmax.length), table, block, n);
    }

    /** Random scales in 8 bits; every value of the map and the offset take part. */
    private static BlockScales nested(int blocks) {
        byte[] codes = new byte[blocks];
        new Random(45).nextBytes(codes);
        float[] map = Samples.normal(256, 46);
        int groups = (blocks + BlockScales.NESTED_BLOCK - 1) / BlockScales.NESTED_BLOCK;
        Tensor scales = Samples.normal(DType.F32, 47, groups);
        return new BlockScales(Tensors.of(codes, blocks), scales, map, 0.37f);
    }

    @Test
    void everyCode_decodesToItsLevel() {
        byte[] codes = new byte[256];
        for (int i = 0; i < 256; i++) {
            codes[i] = (byte) i;
        }
        BlockScales one = BlockScales.plain(Tensors.full(1, DType.F32, 16));
        for (CodeTable table : List.of(NF4, FP4)) {
            Tensor packed = Tensors.of(codes, 256);
            assertTwinsDequantizeAlike(packed, one, table, 32, 512);
            Tensor out = Tensors.empty(DType.F32, 512);
            reference.dequantize(packed, one, table, 32, out);
            float[] decoded = out.toFloats();
            for (int i = 0; i < 256; i++) {
                assertThat(decoded[2 * i]).isEqualTo(table.levels()[i >> 4]);
                assertThat(decoded[2 * i + 1]).isEqualTo(table.levels()[i & 15]);
            }
        }
    }

    /** The worked example of bitsandbytes' layout: absmax 2, codes 10, 6, 8, 0, 14, 7, 7 … */
    @Test
    void workedExample_givesTheBytesOfBitsandbytes() {
        float[] block = new float[64];
        System.arraycopy(new float[] {0.5f, -0.25f, 0.1f, -2.0f, 1.3f, -0.02f}, 0, block, 0, 6);
        Tensor values = Tensors.of(block, 64);
        assertTwinsQuantizeAlike(values, NF4, 64);
        Packed packed = quantize(reference, values, NF4, 64);
        assertThat(packed.absmax).containsExactly(2);
        assertThat(packed.codes).startsWith(0xA6, 0x80, 0xE7, 0x77, 0x77);
    }

    @Test
    void tiesAtMidpoints_takeTheLowerLevel() {
        for (CodeTable table : List.of(NF4, FP4)) {
            float[] values = new float[64];
            values[0] = 1; // absmax 1, so that the values are compared as they are
            for (int i = 0; i < 15; i++) {
                values[1 + i] = table.thresholds()[i];
                values[17 + i] = Math.nextUp(table.thresholds()[i]);
                values[33 + i] = Math.nextDown(table.thresholds()[i]);
            }
            Tensor tensor = Tensors.of(values, 64);
            assertTwinsQuantizeAlike(tensor, table, 64);
            byte[] codes = quantize(reference, tensor, table, 64).codes;
            for (int i = 0; i < 15; i++) {
                assertThat(code(codes, 1 + i)).isEqualTo(table.codeOfPosition()[i]);
                assertThat(code(codes, 17 + i)).isEqualTo(table.codeOfPosition()[i + 1]);
                assertThat(code(codes, 33 + i)).isEqualTo(table.codeOfPosition()[i]);
            }
        }
    }

    private static byte code(byte[] codes, int i) {
        return (byte) (i % 2 == 0 ? (codes[i / 2] & 0xFF) >> 4 : codes[i / 2] & 15);
    }

    /** formats.md, 1.2: a full block stores absmax 0, a short last one 1e-38; both decode to 0. */
    @Test
    void zeros_haveTheCodeOfZero() {
        Tensor zeros = Tensors.zeros(DType.F32, 64 + 33);
        for (CodeTable table : List.of(NF4, FP4)) {
            assertTwinsQuantizeAlike(zeros, table, 64);
            Packed packed = quantize(reference, zeros, table, 64);
            assertThat(packed.absmax).containsExactly(0, 1e-38f);
            assertThat(packed.codes).containsOnly(table == NF4 ? 0x77 : 0x00);
        }
    }

    /** Around the smallest divisor, and denormal. */
    @ParameterizedTest(name = "times {0}")
    @ValueSource(doubles = {1e-30, 1e-37, 3e-38, 1e-38, 1e-39, 1e-44, 3e37})
    void tinyAndHugeValues_quantizeAlike(double scale) {
        for (int n : new int[] {64, 97}) {
            roundTrip(Samples.normal(DType.F64, 48, n).times(scale).to(DType.F32), NF4, 64);
        }
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void valueThatIsNotFinite_showsInTheAbsmaxOfItsBlockAlone(float bad) {
        for (int at : new int[] {0, 5, 64, 100, 127, 128, 140}) {
            float[] values = Samples.normal(141, 49);
            values[at] = bad;
            for (FourBit kernel : List.of(reference, vector.get(0), vector.get(2))) {
                Tensor tensor = Tensors.of(values, values.length);
                float[] absmax = quantize(kernel, tensor, NF4, 64).absmax;
                for (int b = 0; b < 3; b++) {
                    assertThat(Float.isFinite(absmax[b])).as("block %d", b).isEqualTo(b != at / 64);
                }
            }
        }
    }

    /** The scale of a block is read where it is not finite too: from a damaged file, say. */
    @Test
    void scaleThatIsNotFinite_decodesAlike() {
        float[] absmax = {Float.POSITIVE_INFINITY, Float.MAX_VALUE, 1e-45f, -1};
        byte[] codes = new byte[128];
        new Random(50).nextBytes(codes);
        for (DType to : List.of(DType.F32, DType.BF16)) {
            Tensor packed = Tensors.of(codes, 128);
            BlockScales scales = BlockScales.plain(Tensors.of(absmax, 4));
            Tensor expected = Tensors.empty(to, 256);
            reference.dequantize(packed, scales, NF4, 64, expected);
            for (FourBit kernel : vector) {
                Tensor actual = Tensors.empty(to, 256);
                kernel.dequantize(packed, scales, NF4, 64, actual);
                assertThat(actual.toFloats()).isEqualTo(expected.toFloats()); // NaN equals NaN
            }
        }
    }

    /** A tensor that starts in the middle of another: no alignment may be assumed. */
    @Test
    void unalignedStarts_giveTheSame() {
        Tensor whole = Samples.normal(DType.F32, 51, 1003);
        Tensor part = whole.narrow(0, 3, 1000);
        assertTwinsQuantizeAlike(part, NF4, 64);
        Packed packed = quantize(reference, part, NF4, 64);
        byte[] shifted = new byte[503];
        System.arraycopy(packed.codes, 0, shifted, 3, 500);
        Tensor codes = Tensors.of(shifted, 503).narrow(0, 3, 500);
        BlockScales scales = BlockScales.plain(Tensors.of(packed.absmax, packed.absmax.length));
        Tensor expected = Tensors.empty(DType.BF16, 1000);
        reference.dequantize(codes, scales, NF4, 64, expected);
        for (FourBit kernel : vector) {
            Tensor out = Tensors.empty(DType.BF16, 1001).narrow(0, 1, 1000);
            kernel.dequantize(codes, scales, NF4, 64, out);
            assertThat(out.toFloats()).isEqualTo(expected.toFloats());
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"I32", "I8", "BOOL"})
    void valuesThatAreNoFloats_areRefusedByTheVectorKernels(DType dtype) {
        Tensor values = Tensors.zeros(dtype, 64);
        assertThatThrownBy(() -> quantize(vector.get(0), values, NF4, 64))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("weights of type " + dtype + " cannot be quantized");
    }

    @Test
    void tableOfAnotherSize_isRefused() {
        assertThatThrownBy(() -> new CodeTable(new float[15], new float[15], new byte[16]))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
