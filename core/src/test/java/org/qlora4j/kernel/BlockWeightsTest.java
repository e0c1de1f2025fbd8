package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Device;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Samples;

/**
 * Weights in blocks: the libtorch twin and the vector twin beside {@link BlockDecoder}, whose
 * values are the {@code gguf} package's (GgufBlocksTest); seed 7.
 */
class BlockWeightsTest {
    private final BlockWeights reference = Kernels.reference(Device.CPU, "judge").blockWeights();
    private final BlockWeights vector = new VectorBlockWeights(new Workers(3), reference);

    /** Any bytes with finite scales. */
    static byte[] blocks(BlockType type, int count) {
        Random random = new Random(7);
        byte[] out = new byte[count * type.bytes()];
        for (int block = 0; block < count; block++) {
            do {
                byte[] bytes = new byte[type.bytes()];
                random.nextBytes(bytes);
                System.arraycopy(bytes, 0, out, block * bytes.length, bytes.length);
            } while (!type.isFinite(out, block));
        }
        return out;
    }

    static Stream<Arguments> lines() {
        return BlockType.KEPT.stream()
                .flatMap(type ->
                        Stream.of(new int[] {1, 1}, new int[] {2, 3}, new int[] {37, 5})
                                .map(s -> Arguments.of(type, s[0], s[1] * type.elements())));
    }

    @ParameterizedTest(name = "{0}, {1} x {2}")
    @MethodSource("lines")
    void weights_areDecodedToTheBit(BlockType type, int out, int in) {
        byte[] bytes = blocks(type, out * in / type.elements());
        float[] expected = new float[out * in];
        BlockDecoder.decode(type, bytes, expected.length, expected);
        try (TensorScope scope = TensorScope.open()) {
            Tensor blocks = Tensors.of(bytes, out, type.bytes(in));
            for (BlockWeights kernel : new BlockWeights[] {reference, vector}) {
                for (DType dtype : new DType[] {DType.F32, DType.BF16, DType.F64}) {
                    Tensor decoded = Tensors.full(Double.NaN, dtype, out, in);
                    kernel.decode(blocks, type, decoded);
                    float[] rounded = Tensors.of(expected, out, in).to(dtype).toFloats();
                    assertThat(Arrays.equals(decoded.toFloats(), rounded))
                            .as("%s of %s in %s", kernel, type, dtype)
                            .isTrue();
                }
            }
        }
    }

    static Stream<Arguments> products() {
        return lines().flatMap(line ->
                Stream.of(
                                Arguments.of(DType.F32, 1),
                                Arguments.of(DType.BF16, 3),
                                Arguments.of(DType.F32, 16))
                        .map(x ->
                                Arguments.of(
                                        line.get()[0],
                                        line.get()[1],
                                        line.get()[2],
                                        x.get()[0],
                                        x.get()[1])));
    }

    @ParameterizedTest(name = "{0}, {1} x {2}, {4} rows of {3}")
    @MethodSource("products")
    void product_isTheReferencesAndRowsDoNotMix(
            BlockType type, int out, int in, DType dtype, int rows) {
        byte[] bytes = blocks(type, out * in / type.elements());
        try (TensorScope scope = TensorScope.open()) {
            Tensor blocks = Tensors.of(bytes, out, type.bytes(in));
            Tensor x = Samples.normal(DType.F32, 9, rows, in).to(dtype);
            Tensor expected = Tensors.empty(dtype, rows, out);
            Tensor actual = Tensors.full(Double.NaN, dtype, rows, out);
            reference.multiply(x, blocks, type, expected);
            assertThat(vector.takes(dtype, rows)).isTrue();
            vector.multiply(x, blocks, type, actual);
            double tolerance = dtype == DType.BF16 ? 8e-3 : 4e-6;
            Close.assertClose("product", actual, expected, tolerance, 1e-6);

            Tensor alone = Tensors.empty(dtype, 1, out);
            vector.multiply(x.narrow(0, rows - 1, 1).contiguous(), blocks, type, alone);
            assertThat(alone.toFloats()).isEqualTo(actual.narrow(0, rows - 1, 1).toFloats());
        }
    }
}
