package org.qlora4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.qlora4j.checkpoint.Resources.assertRejected;

import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsFileTest {
    @TempDir Path folder;

    /** A file of this header and so many zero bytes of data. */
    private Path file(String header, int dataBytes) throws IOException {
        return file(header.getBytes(StandardCharsets.UTF_8), dataBytes);
    }

    private Path file(byte[] header, int dataBytes) throws IOException {
        ByteBuffer bytes =
                ByteBuffer.allocate(8 + header.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        return Files.write(
                folder.resolve("m.safetensors"), bytes.putLong(header.length).put(header).array());
    }

    private void rejects(String header, int dataBytes, String... parts) throws IOException {
        Path path = file(header, dataBytes);
        assertRejected(() -> SafetensorsFile.open(path), path, parts);
    }

    private static String entry(String name, String dtype, String shape, String offsets) {
        return "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s}"
                .formatted(name, dtype, shape, offsets);
    }

    @Test
    void exampleOfTheSpecification_isRead() throws IOException {
        Path path = file("{" + entry("x", "F32", "[2]", "[0,8]") + "}  ", 8);
        assertThat(Files.size(path)).isEqualTo(72);
        try (var file = SafetensorsFile.open(path)) {
            assertThat(file.names()).containsExactly("x");
            assertThat(file.metadata()).isEmpty();
            assertThat(file.bytes()).isEqualTo(8);
            assertThat(file.tensor("x").shape()).containsExactly(2);
            assertRejected(() -> file.tensor("y"), path, "has no tensor y");
        }
    }

    /** The script gives element i the value i - 3. */
    @ParameterizedTest
    @CsvSource({
        "a.f32, F32, 1", "b.f32, F32, 2x3", "z.f64, F64, 2", "c.bf16, BF16, 3x1x2", "c.f16, F16, 5",
                "d.i8, I8, 7",
        "d.u8, U8, 3", "e.i16, I16, 3", "e.i32, I32, 3", "e.i64, I64, 3", "f.bool, BOOL, 3",
                "g.scalar, F32, ''",
        "h.empty, F32, 0x4", "i.\uD83D\uDE00, I8, 1", "i.\uFB01, I8, 2",
                "'j.\"quoted\\name', I8, 3", "k.f8, F8_E4M3, 4"
    })
    void fileOfThePythonPackage_isReadEqual(String name, StoredType type, String shape) {
        try (var file = SafetensorsFile.open(Resources.file("python.safetensors"))) {
            assertThat(file.names()).hasSize(17);
            assertThat(file.metadata()).isEqualTo(Map.of("format", "pt"));
            StoredTensor tensor = file.tensor(name);
            assertThat(tensor.type()).isEqualTo(type);
            assertThat(Resources.shape(tensor.shape())).isEqualTo(shape);
            assertThat(tensor.data().byteSize()).isEqualTo(file.info(name).bytes());
            for (int i = 0; i < StoredType.elements(tensor.shape()); i++) {
                assertThat(element(tensor, i)).isEqualTo(expected(name, i));
            }
        }
    }

    private static double expected(String name, int i) {
        return switch (name) {
            case "f.bool" -> i % 2 == 0 ? 1 : 0;
            case "g.scalar" -> 2.5;
            case "d.u8" -> 256 + i - 3;
            default -> i - 3;
        };
    }

    private static double element(StoredTensor tensor, int i) {
        ByteBuffer data =
                ByteBuffer.wrap(tensor.data().toArray(ValueLayout.JAVA_BYTE))
                        .order(ByteOrder.LITTLE_ENDIAN);
        int at = i * tensor.type().elementBytes();
        return switch (tensor.type()) {
            case F32 -> data.getFloat(at);
            case F64 -> data.getDouble(at);
            case BF16 -> Float.intBitsToFloat(data.getShort(at) << 16);
            case F16 -> Float.float16ToFloat(data.getShort(at));
            case I8 -> data.get(at);
            case U8, BOOL -> Byte.toUnsignedInt(data.get(at));
            case I16 -> data.getShort(at);
            case I32 -> data.getInt(at);
            case I64 -> data.getLong(at);
            case F8_E4M3 ->
                    new double[] {-3, -2, -1, 0}[i]; // the bits are checked by the writer's twin
            default -> throw new AssertionError(tensor.type());
        };
    }

    @Test
    void missingFile_saysSo() {
        Path path = folder.resolve("none.safetensors");
        assertRejected(() -> SafetensorsFile.open(path), path, "does not exist");
        assertRejected(() -> SafetensorsFile.open(folder), folder, "is a folder");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 7})
    void shorterThanItsLength_isRejected(int bytes) throws IOException {
        Path path = Files.write(folder.resolve("m.safetensors"), new byte[bytes]);
        assertRejected(() -> SafetensorsFile.open(path), path, "at least 8 bytes", "has " + bytes);
    }

    @ParameterizedTest
    @CsvSource({
        "-1, 18446744073709551615",
        "100000001, 100000001",
        "9223372036854775807, 9223372036854775807"
    })
    void lengthOverTheLimit_isRejected(long length, String shown) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN).putLong(length);
        Path path = Files.write(folder.resolve("m.safetensors"), bytes.array());
        assertRejected(() -> SafetensorsFile.open(path), path, shown, "100000000");
    }

    @Test
    void headerLongerThanTheFile_namesBothSizes() throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN).putLong(1000);
        Path path = Files.write(folder.resolve("m.safetensors"), bytes.array());
        assertRejected(
                () -> SafetensorsFile.open(path), path, "has 64 bytes", "ends at 1008", "cut off");
    }

    @Test
    void badUtf8_isRejected() throws IOException {
        for (byte[] bad :
                new byte[][] {{'{', (byte) 0xC0, (byte) 0x80, '}'}, {'{', (byte) 0xFF, '}'}}) {
            Path path = file(bad, 0);
            assertRejected(() -> SafetensorsFile.open(path), path, "not valid UTF-8 at byte 1");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "[]", "3", " {}", "\"a\"", "null"})
    void notAnObject_isRejected(String header) throws IOException {
        rejects(header, 0, "must start with '{'");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{",
                "{\"a\"",
                "{\"a\":",
                "{]",
                "{\"a\":{\"dtype\":\"F32\"",
                "{}{",
                "{} x",
                "{\"a\\q\":1}"
            })
    void brokenJson_isRejected(String header) throws IOException {
        rejects(header, 0, "header");
    }

    @Test
    void deepNestingInAnUnknownKey_isRejected() throws IOException {
        rejects(
                "{\"a\":{\"x\":" + "[".repeat(5000) + "]".repeat(5000) + "}}",
                0,
                "more than 8 deep");
    }

    @Test
    void unknownKeyOfATensor_isPassedOver() throws IOException {
        Path path =
                file(
                        "{\"a\":{\"x\":[{\"y\":1}],\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
                        1);
        try (var file = SafetensorsFile.open(path)) {
            assertThat(file.names()).containsExactly("a");
        }
    }

    @Test
    void duplicateKeys_areRejected() throws IOException {
        String x = entry("x", "U8", "[1]", "[0,1]");
        rejects("{" + x + "," + x + "}", 1, "Duplicate", "x");
        rejects("{\"x\":{\"dtype\":\"U8\",\"dtype\":\"I8\"}}", 1, "Duplicate", "dtype");
        rejects("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "Duplicate");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"\"x\":1", "\"x\":[]", "\"x\":{}", "\"x\":{\"dtype\":\"U8\",\"shape\":[1]}"})
    void incompleteTensor_isRejected(String json) throws IOException {
        rejects("{" + json + "}", 1, "x", "dtype, shape and");
    }

    @ParameterizedTest
    @ValueSource(strings = {"[]", "{\"a\":1}", "{\"a\":null}", "{\"a\":{}}", "null"})
    void metadataOtherThanStrings_isRejected(String json) throws IOException {
        rejects("{\"__metadata__\":" + json + "}", 0, "__metadata__", "string");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[-1]",
                "[1.0]",
                "[1e0]",
                "[\"1\"]",
                "[null]",
                "[[1]]",
                "[9223372036854775808]",
                "3",
                "{}"
            })
    void shapeOtherThanNaturalNumbers_isRejected(String shape) throws IOException {
        rejects("{" + entry("x", "U8", shape, "[0,1]") + "}", 1, "x.shape", "integers");
    }

    @Test
    void rankOverTheLimit_isRejected() throws IOException {
        rejects(
                "{" + entry("x", "U8", "[1" + ",1".repeat(16) + "]", "[0,1]") + "}",
                1,
                "x.shape",
                "at most 16");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[4294967296,4294967296]",
                "[9223372036854775807]",
                "[4294967296,2147483648,0]"
            })
    void sizeOverflow_isRejected(String shape) throws IOException {
        rejects("{" + entry("x", "F32", shape, "[0,0]") + "}", 0, "x", "impossible size");
    }

    @Test
    void bitsThatFillNoByte_areRejected() throws IOException {
        rejects("{" + entry("x", "F4", "[3]", "[0,2]") + "}", 2, "x", "12 bits");
        Path path = file("{" + entry("x", "F6_E2M3", "[4]", "[0,3]") + "}", 3);
        SafetensorsFile.open(path).close();
    }

    @ParameterizedTest
    @ValueSource(strings = {"[-8,0]", "[0,-8]", "[0,9223372036854775808]", "[0,4,8]", "[0.0,8]"})
    void offsetsOtherThanTwoNaturalNumbers_areRejected(String offsets) throws IOException {
        rejects("{" + entry("x", "F32", "[2]", offsets) + "}", 8, "x", "data_offsets");
    }

    @ParameterizedTest
    @ValueSource(strings = {"[0,7]", "[0,9]", "[8,0]", "[0,9223372036854775807]"})
    void offsetsThatDoNotFitTheShape_areRejected(String offsets) throws IOException {
        rejects(
                "{" + entry("x", "F32", "[2]", offsets) + "}",
                8,
                "tensor x has data_offsets",
                "take 8 bytes");
    }

    @ParameterizedTest(name = "a {0}, b {1}")
    @CsvSource({
        "'[1,2]', '[2,4]'",
        "'[0,1]', '[2,4]'",
        "'[0,1]', '[0,2]'",
        "'[3,4]', '[2,4]'",
        "'[3,4]', '[0,2]'"
    })
    void gapOrOverlap_isRejected(String a, String b) throws IOException {
        String header = "{" + entry("a", "U8", "[1]", a) + "," + entry("b", "U8", "[2]", b) + "}";
        rejects(header, 4, "begins at byte", "overlap", "gaps");
    }

    @Test
    void emptyTensorsBetweenOthers_areRead() throws IOException {
        String header =
                "{"
                        + entry("c", "U8", "[2]", "[1,3]")
                        + ","
                        + entry("a", "U8", "[1]", "[0,1]")
                        + ","
                        + entry("b", "F32", "[0]", "[1,1]")
                        + ","
                        + entry("d", "F32", "[3,0]", "[3,3]")
                        + "}";
        try (var file = SafetensorsFile.open(file(header, 3))) {
            assertThat(file.names()).containsExactly("a", "b", "c", "d");
            assertThat(file.tensor("b").data().byteSize()).isZero();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"F33", "f32", "", "FLOAT\\n"})
    void unknownType_isRejected(String dtype) throws IOException {
        rejects("{" + entry("x", dtype, "[2]", "[0,8]") + "}", 8, "unknown dtype");
    }

    @Test
    void badNames_areRejected() throws IOException {
        rejects("{" + entry("a\\nb", "U8", "[1]", "[0,1]") + "}", 1, "control character");
        rejects("{" + entry("n".repeat(1025), "U8", "[1]", "[0,1]") + "}", 1, "1024");
    }

    @Test
    void cutOffData_namesBothSizes() throws IOException {
        String header = "{" + entry("x", "F32", "[2]", "[0,8]") + "}";
        rejects(header, 3, "has 65 bytes", "calls for 70", "cut off");
        rejects(header, 9, "has 71 bytes", "calls for 70", "appended");
    }

    @Test
    void everyPrefixOfAFile_isRejected() throws IOException {
        byte[] whole = Files.readAllBytes(Resources.file("python.safetensors"));
        Path path = folder.resolve("cut.safetensors");
        for (int length = 0; length < whole.length; length++) {
            Files.write(path, Arrays.copyOf(whole, length));
            assertRejected(() -> SafetensorsFile.open(path), path);
        }
    }
}
