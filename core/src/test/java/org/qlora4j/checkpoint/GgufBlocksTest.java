package org.qlora4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;
import org.qlora4j.kernel.BlockDecoder;
import org.qlora4j.kernel.BlockType;

/**
 * Blocks of GGUF's quantized types, against the {@code gguf} package of Python and ggml's own
 * quantizers ({@code make_gguf_blocks.py}).
 */
class GgufBlocksTest {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private static SafetensorsFile expected;

    @BeforeAll
    static void open() {
        expected = SafetensorsFile.open(Resources.file("gguf-blocks.safetensors"));
    }

    @AfterAll
    static void close() {
        expected.close();
    }

    private static byte[] bytes(String name) {
        return expected.tensor(name).data().toArray(ValueLayout.JAVA_BYTE);
    }

    private static float[] floats(String name) {
        return expected.tensor(name).data().toArray(FLOAT);
    }

    @ParameterizedTest
    @EnumSource(
            value = GgufType.class,
            mode = Mode.EXCLUDE,
            names = {"F32", "F16", "BF16", "I8", "I16", "I32", "I64", "F64"})
    void randomBlocks_areDecodedToTheBit(GgufType type) {
        float[] values = floats(type + ".values");
        float[] out = new float[values.length];
        BlockDecoder.decode(
                BlockType.valueOf(type.name()), bytes(type + ".blocks"), out.length, out);
        for (int i = 0; i < out.length; i++) {
            assertThat(Float.floatToIntBits(out[i]))
                    .as("%s value %d: %s, not %s", type, i, out[i], values[i])
                    .isEqualTo(Float.floatToIntBits(values[i]));
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = GgufType.class,
            names = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"})
    void values_areEncodedAsTheGgufPackageDoes(GgufType type) {
        float[] values = floats("in");
        byte[] out = new byte[values.length / type.blockElements * type.blockBytes];
        GgufEncoder.encode(type, values, out);
        assertThat(out).isEqualTo(bytes(type + ".encoded"));
    }

    /** Not the same bytes as ggml's quantizers, but no larger an error, row by row. */
    @ParameterizedTest
    @EnumSource(
            value = GgufType.class,
            names = {"Q4_K", "Q5_K", "Q6_K", "IQ4_NL"})
    void fittedBlocks_areAsNearAsThoseOfGgml(GgufType type) {
        float[] values = floats("in");
        float[] theirs = floats(type + ".peer");
        byte[] packed = new byte[values.length / type.blockElements * type.blockBytes];
        GgufEncoder.encode(type, values, packed);
        float[] decoded = new float[values.length];
        BlockDecoder.decode(BlockType.valueOf(type.name()), packed, decoded.length, decoded);
        double ratios = 0;
        for (int row = 0; row < theirs.length; row++) {
            double sum = 0;
            double squares = 0;
            for (int i = 256 * row; i < 256 * row + 256; i++) {
                sum += Math.pow(decoded[i] - values[i], 2) / 256;
                squares += values[i] * values[i] / 256;
            }
            double floor = 1e-7 * squares;
            assertThat(sum)
                    .as("%s row %d of error %s, theirs %s", type, row, sum, theirs[row])
                    .isLessThanOrEqualTo(1.15 * theirs[row] + floor);
            ratios += Math.log((sum + floor + 1e-30) / (theirs[row] + floor + 1e-30));
        }
        assertThat(Math.exp(ratios / theirs.length)).as("mean over rows").isLessThan(1.03);
    }

    @Test
    void floats_areWrittenAsTheyAre() throws IOException {
        float[] values = {1.5f, -0.1f, 65504f, 0};
        byte[] out = new byte[8];
        GgufTensors.encode(
                GgufType.F16,
                MemorySegment.ofArray(values),
                4,
                part -> MemorySegment.ofArray(out).copyFrom(part));
        // numpy: np.array([1.5, -0.1, 65504, 0], np.float16).tobytes()
        assertThat(out).containsExactly(0x00, 0x3e, 0x66, 0xae, 0xff, 0x7b, 0x00, 0x00);
    }
}
