package org.qlora4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.qlora4j.checkpoint.Resources.assertRejected;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GgufCheckpointTest {
    private static final String Q = "blk.0.attn_q.weight";

    @TempDir Path folder;

    @ParameterizedTest
    @CsvSource({"gqa, 12", "bias, 15"})
    void filesOfTheGgufPackage_areReadAsItDecodesThem(String name, int tensors) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(Resources.file(name + ".gguf"))) {
            assertThat(checkpoint.names()).hasSize(tensors);
            assertThat(checkpoint.folder()).isEqualTo(Resources.file(name + ".gguf").getParent());
            assertThat(Resources.digests(checkpoint)).isEqualTo(Resources.lines(name + ".sha256"));
        }
    }

    @Test
    void shapeAndSizes_areKnownBeforeReading() {
        try (Checkpoint checkpoint = Checkpoint.open(Resources.file("gqa.gguf"))) {
            StoredInfo info = checkpoint.info("model.layers.0.mlp.down_proj.weight");
            assertThat(info.shape()).containsExactly(96, 64);
            assertThat(info.bytes()).isEqualTo((long) info.type().elementBytes() * 96 * 64);
            assertThat(checkpoint.bytes()).isBetween(60_000L, 72_288L);
            assertRejected(
                    () -> checkpoint.read("x", Arena.ofAuto()), Path.of("gqa.gguf"), "no tensor x");
        }
    }

    /** Ties to even, carries into the exponent, overflow to infinity, NaN stays NaN. */
    @ParameterizedTest
    @CsvSource({
        "3f808000, 3f80", "3f818000, 3f82", "3f808001, 3f81", "3f7fffff, 3f80", "7f7fffff, 7f80",
                "ff7f8000, ff80",
        "7f800000, 7f80", "7fffffff, 7fff", "7f800001, 7fc0", "ffffffff, ffff", "00000001, 0",
                "80008000, 8000",
        "00018000, 2", "80000000, 8000"
    })
    void bf16_roundsToNearestEven(String bits, String expected) {
        float value = Float.intBitsToFloat(Integer.parseUnsignedInt(bits, 16));
        assertThat(Integer.toHexString(GgufRow.bf16(value) & 0xFFFF)).isEqualTo(expected);
    }

    // Malformed twins of gqa.gguf: magic at 0, version at 4, number of tensors at 8, of pairs at
    // 16, first key at 24.

    private Path twin(Consumer<ByteBuffer> change) throws IOException {
        byte[] bytes = Files.readAllBytes(Resources.file("gqa.gguf"));
        change.accept(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
        return Files.write(folder.resolve("twin.gguf"), bytes);
    }

    private void rejects(Consumer<ByteBuffer> change, String... parts) throws IOException {
        Path path = twin(change);
        assertRejected(() -> Checkpoint.open(path), path, parts);
    }

    /** Where the bytes after this string (a key or a name) begin. */
    private static int after(ByteBuffer file, String string) {
        ByteBuffer wanted = ByteBuffer.wrap(string.getBytes(StandardCharsets.UTF_8));
        for (int at = 8; at < file.limit() - wanted.limit(); at++) {
            if (file.slice(at, wanted.limit()).equals(wanted)
                    && file.getLong(at - 8) == wanted.limit()) {
                return at + wanted.limit();
            }
        }
        throw new AssertionError(string + " not found");
    }

    /** After the name of a 2-D tensor: rank (4), dims (8, 8), type (4), offset (8). */
    private static int info(ByteBuffer file) {
        return after(file, Q);
    }

    @Test
    void unchangedTwin_isRead() throws IOException {
        Checkpoint.open(twin(_ -> {})).close();
        Checkpoint.open(twin(file -> file.putInt(4, 2))).close();
    }

    @Test
    void badMagic_isRejected() throws IOException {
        rejects(file -> file.put(0, (byte) 'g'), "does not begin with GGUF");
    }

    @Test
    void otherVersions_areRejected() throws IOException {
        rejects(file -> file.putInt(4, 1), "GGUF version 1");
        rejects(file -> file.putInt(4, 4), "GGUF version 4");
        rejects(file -> file.putInt(4, -1), "GGUF version 4294967295");
        rejects(file -> file.putInt(4, 0x03000000), "big-endian");
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, Long.MAX_VALUE, 1L << 40, 72_288})
    void countsBeyondTheFile_areRejected(long count) throws IOException {
        rejects(file -> file.putLong(8, count), "number of tensors", Long.toUnsignedString(count));
        rejects(
                file -> file.putLong(16, count),
                "number of key-value pairs",
                Long.toUnsignedString(count));
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, Long.MAX_VALUE, 72_288})
    void stringPastTheEnd_isRejected(long length) throws IOException {
        rejects(file -> file.putLong(24, length), "length of a key");
        rejects(
                file -> file.putLong(after(file, "general.architecture") + 4, length),
                "general.architecture");
        rejects(
                file -> file.putLong(after(file, "test.names") + 16, length),
                "a string of test.names");
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, Long.MAX_VALUE, Long.MAX_VALUE / 4 + 1, 72_288})
    void arrayPastTheEnd_isRejected(long length) throws IOException {
        rejects(
                file -> file.putLong(after(file, "test.names") + 8, length),
                "length of test.names");
        rejects(
                file -> file.putLong(after(file, "test.numbers") + 8, length),
                "length of test.numbers");
    }

    @Test
    void unknownValueType_isRejected() throws IOException {
        rejects(file -> file.putInt(after(file, "test.flag"), 13), "test.flag", "unknown type 13");
        rejects(
                file -> file.putInt(after(file, "test.names") + 4, 99),
                "test.names",
                "unknown type 99");
    }

    @Test
    void deeplyNestedArrays_areRejected() throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(0x46554747)
                .putInt(3)
                .putLong(0)
                .putLong(1)
                .putLong(1)
                .put((byte) 'k')
                .putInt(9);
        for (int i = 0; i < 200; i++) {
            bytes.putInt(9).putLong(1);
        }
        Path path = Files.write(folder.resolve("deep.gguf"), bytes.array());
        assertRejected(() -> Checkpoint.open(path), path, "nests arrays too deeply");
    }

    @Test
    void keyOfAnotherType_isRejected() throws IOException {
        rejects(
                file -> file.putInt(after(file, "llama.attention.head_count"), 6),
                "head_count",
                "integer");
        rejects(
                file -> file.putInt(after(file, "llama.attention.head_count") + 4, 0),
                "head_count",
                "at least 1");
        rejects(
                file -> file.putInt(after(file, "llama.attention.head_count") + 4, 7),
                Q,
                "7 and 1 heads");
    }

    @Test
    void duplicateNames_areRejected() throws IOException {
        rejects(
                file -> file.put(after(file, "blk.0.attn_k.weight") - 8, (byte) 'q'),
                "tensor " + Q,
                "occurs twice");
    }

    @Test
    void duplicateKeys_areRejected() throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(128).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(0x46554747).putInt(3).putLong(0).putLong(2);
        bytes.putLong(1).put((byte) 'k').putInt(7).put((byte) 1);
        bytes.putLong(1).put((byte) 'k').putInt(7).put((byte) 0);
        Path path = Files.write(folder.resolve("twice.gguf"), bytes.array());
        assertRejected(() -> Checkpoint.open(path), path, "key k occurs twice");
    }

    @Test
    void badName_isRejected() throws IOException {
        rejects(file -> file.put(after(file, Q) - 1, (byte) '\n'), "control characters");
        rejects(file -> file.put(after(file, Q) - 1, (byte) 0xFF), "not valid UTF-8");
    }

    @Test
    void tensorThatIsNoPartOfALlama_isNamed() throws IOException {
        rejects(
                file -> file.put(after(file, Q) - 8, (byte) 'x'),
                "blk.0.attn_x.weight",
                "no place in a model of its architecture");
    }

    @Test
    void otherArchitecture_isRejected() throws IOException {
        rejects(
                file -> file.put(after(file, "llama") - 1, (byte) 'o'),
                "'llamo'",
                "read from GGUF are llama");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 5, -1})
    void badRank_isRejected(int rank) throws IOException {
        rejects(file -> file.putInt(info(file), rank), Q, Integer.toUnsignedString(rank), "1 to 4");
    }

    @ParameterizedTest
    @CsvSource({
        "-32, 96, impossible size", "4294967296, 4294967296, impossible size",
                "96, -1, impossible size",
        "9223372036854775776, 1, cut off", "95, 96, blocks of 32", "48, 96, blocks of 32",
        "96, 97, do not fit", "96, 1000000, cut off"
    })
    void badDimensions_areRejected(long first, long second, String rule) throws IOException {
        rejects(
                file -> file.putLong(info(file) + 4, first).putLong(info(file) + 12, second),
                Q,
                rule);
    }

    @ParameterizedTest
    @CsvSource({"24, I8", "28, F64", "4, type 4", "16, type 16", "-1, type 4294967295"})
    void typeThatIsNotDecoded_isNamed(int id, String shown) throws IOException {
        rejects(
                file ->
                        file.putInt(info(file) + 20, id)
                                .putLong(info(file) + 4, 256)
                                .putLong(info(file) + 12, 6),
                Q,
                shown,
                GgufType.DECODED);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 16, 33, -32, Long.MIN_VALUE})
    void misalignedOffset_isRejected(long offset) throws IOException {
        rejects(file -> file.putLong(info(file) + 24, offset), Q, "multiple of 32");
    }

    @ParameterizedTest
    @ValueSource(longs = {70_016, 1L << 40, Long.MAX_VALUE - 31})
    void offsetPastTheEnd_isRejected(long offset) throws IOException {
        rejects(file -> file.putLong(info(file) + 24, offset), Q, "has 72288 bytes", "cut off");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 4, 7, 24, 0x7FFFFFFF})
    void badAlignment_isRejected(int alignment) throws IOException {
        byte[] bytes = Files.readAllBytes(Resources.file("bias.gguf"));
        ByteBuffer file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        file.putInt(after(file, "general.alignment") + 4, alignment);
        Path path = Files.write(folder.resolve("twin.gguf"), bytes);
        assertRejected(() -> Checkpoint.open(path), path, "general.alignment", "power of two");
    }

    @Test
    void everyPrefixOfAFile_isRejected() throws IOException {
        byte[] whole = Files.readAllBytes(Resources.file("gqa.gguf"));
        Path path = folder.resolve("cut.gguf");
        for (int length = 0; length < whole.length; length += length < 1100 ? 1 : 997) {
            Files.write(path, Arrays.copyOf(whole, length));
            assertRejected(() -> Checkpoint.open(path), path);
        }
    }
}
