package org.qlora4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.qlora4j.checkpoint.Resources.assertRejected;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * One weight of [3, 7]: 21 elements, 11 bytes of codes, one block. Its malformed twins differ in
 * one thing each.
 */
class Bnb4bitTest {
    private static final String STATE = "w.quant_state.bitsandbytes__nf4";
    private static final String PLAIN =
            "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"bfloat16\", \"shape\": [3, 7]}";
    private static final String NESTED =
            "{\"shape\":[3,7],\"nested_offset\":0.25,\"nested_dtype\":\"float32\",\"nested_blocksize\":256,"
                    + "\"dtype\":\"float16\",\"blocksize\":64,\"quant_type\":\"nf4\"}";

    @TempDir Path folder;

    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Part(StoredType type, long[] shape, byte[] bytes) {}

    private static Part u8(long... shape) {
        return new Part(StoredType.U8, shape, new byte[(int) StoredType.U8.bytesOf(shape)]);
    }

    private static Part state(String json) {
        byte[] bytes = json.getBytes(StandardCharsets.UTF_8);
        return new Part(StoredType.U8, new long[] {bytes.length}, bytes);
    }

    /** 0, 1, 2, ... */
    private static Part f32(int count) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < count; i++) {
            bytes.putFloat(i);
        }
        return new Part(StoredType.F32, new long[] {count}, bytes.array());
    }

    private static Map<String, Part> plain() {
        var parts = new LinkedHashMap<String, Part>();
        parts.put("w", u8(11, 1));
        parts.put("w.absmax", f32(1));
        parts.put("w.quant_map", f32(16));
        parts.put(STATE, state(PLAIN));
        parts.put("norm.weight", f32(3));
        return parts;
    }

    private static Map<String, Part> nested() {
        Map<String, Part> parts = plain();
        parts.put("w.absmax", u8(1));
        parts.put("w.nested_absmax", f32(1));
        parts.put("w.nested_quant_map", f32(256));
        parts.put(STATE, state(NESTED));
        return parts;
    }

    /** Its segments are closed already; their sizes are still known. */
    private StoredQuantized read(Map<String, Part> parts, Arena arena) {
        var writer = new SafetensorsWriter(Map.of());
        parts.forEach((name, part) ->
                writer.add(name, part.type, part.shape, MemorySegment.ofArray(part.bytes)));
        writer.write(folder.resolve("model.safetensors"));
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            return Bnb4bit.of(checkpoint).read("w", arena);
        }
    }

    private void rejects(
            Map<String, Part> parts, Consumer<Map<String, Part>> change, String... rules)
            throws IOException {
        change.accept(parts);
        try (Arena arena = Arena.ofConfined()) {
            assertRejected(() -> read(parts, arena), folder, rules);
        }
    }

    @ParameterizedTest
    @CsvSource({"U8, 11, 1", "U8, 1, 11", "I8, 11, 1"})
    void plainScales_areRead(StoredType storage, long rows, long columns) {
        try (Arena arena = Arena.ofConfined()) {
            Map<String, Part> parts = plain();
            parts.put("w", new Part(storage, new long[] {rows, columns}, new byte[11]));
            StoredQuantized weight = read(parts, arena);
            assertThat(weight.shape()).containsExactly(3, 7);
            assertThat(weight.codes().byteSize()).isEqualTo(11);
            assertThat(weight.dtype()).isEqualTo("bfloat16");
            assertThat(weight.nested()).isNull();
            assertThat(weight.absmaxType()).isEqualTo(StoredType.F32);
        }
    }

    @Test
    void codesInA16BitStorage_areTheSameBytes() {
        try (Arena arena = Arena.ofConfined()) {
            Map<String, Part> parts = plain();
            parts.put(STATE, state(PLAIN.replace("[3, 7]", "[4, 7]")));
            parts.put("w", new Part(StoredType.BF16, new long[] {7, 1}, new byte[14]));
            assertThat(read(parts, arena).codes().byteSize()).isEqualTo(14);
        }
    }

    @Test
    void nestedScales_areRead() {
        try (Arena arena = Arena.ofConfined()) {
            StoredQuantized weight = read(nested(), arena);
            assertThat(weight.dtype()).isEqualTo("float16");
            assertThat(weight.absmaxType()).isEqualTo(StoredType.U8);
            StoredQuantized.Nested nested = Objects.requireNonNull(weight.nested());
            assertThat(nested.offset()).isEqualTo(0.25f);
            assertThat(nested.blockSize()).isEqualTo(256);
            assertThat(nested.map()).hasSize(256).startsWith(0, 1, 2);
        }
    }

    @Test
    void checkpointWithoutQuantization_hasNoWeights() {
        try (Checkpoint checkpoint = Checkpoint.open(Resources.file("python.safetensors"))) {
            Bnb4bit bnb = Bnb4bit.of(checkpoint);
            assertThat(bnb.weights()).isEmpty();
            assertThat(bnb.plain()).isEqualTo(checkpoint.names());
            assertRejected(
                    () -> bnb.read("a.f32", Arena.ofAuto()),
                    checkpoint.folder(),
                    "a.f32 is not quantized");
        }
    }

    @Test
    void missingParts_areNamed() throws IOException {
        rejects(plain(), parts -> parts.remove("w"), "has no codes");
        rejects(plain(), parts -> parts.remove("w.absmax"), "w.absmax is missing");
        rejects(plain(), parts -> parts.remove("w.quant_map"), "w.quant_map is missing");
        rejects(plain(), parts -> parts.remove(STATE), "has no w.quant_state");
        rejects(nested(), parts -> parts.remove("w.nested_absmax"), "w.nested_absmax is missing");
        rejects(
                nested(),
                parts -> parts.remove("w.nested_quant_map"),
                "w.nested_quant_map is missing");
    }

    @Test
    void twoStatesOrAnUnknownOne_areRejected() throws IOException {
        rejects(
                plain(),
                parts -> parts.put("w.quant_state.bitsandbytes__fp4", state(PLAIN)),
                "second quant_state");
        rejects(
                plain(),
                parts -> parts.put("w.quant_state.bitsandbytes__int4", state(PLAIN)),
                "'int4'");
    }

    @Test
    void partsOfAnotherSize_areRejected() throws IOException {
        rejects(plain(), parts -> parts.put("w", u8(10, 1)), "has 10 bytes", "one column of 11");
        rejects(plain(), parts -> parts.put("w", u8(12, 1)), "has 12 bytes");
        rejects(plain(), parts -> parts.put("w", u8(11)), "[11]", "one column");
        rejects(plain(), parts -> parts.put("w.absmax", f32(2)), "w.absmax is F32 [2]", "F32 [1]");
        rejects(plain(), parts -> parts.put("w.absmax", u8(1)), "w.absmax is U8 [1]", "F32 [1]");
        rejects(plain(), parts -> parts.put("w.quant_map", f32(15)), "w.quant_map is F32 [15]");
        rejects(nested(), parts -> parts.put("w.absmax", f32(1)), "w.absmax is F32 [1]", "U8 [1]");
        rejects(
                nested(),
                parts -> parts.put("w.nested_absmax", f32(2)),
                "w.nested_absmax is F32 [2]");
        rejects(
                nested(),
                parts -> parts.put("w.nested_quant_map", f32(255)),
                "w.nested_quant_map is F32 [255]");
        rejects(plain(), parts -> parts.put(STATE, u8(65_537)), "has 65537 bytes");
        rejects(plain(), parts -> parts.put(STATE, u8(4, 2)), STATE + " is U8 [4, 2]");
    }

    @Test
    void mapsThatAreNoMaps_areRejected() throws IOException {
        Part nan = f32(16);
        ByteBuffer.wrap(nan.bytes).order(ByteOrder.LITTLE_ENDIAN).putFloat(8, Float.NaN);
        rejects(plain(), parts -> parts.put("w.quant_map", nan), "w.quant_map must hold finite");
        Part unsorted = f32(256);
        ByteBuffer.wrap(unsorted.bytes).order(ByteOrder.LITTLE_ENDIAN).putFloat(8, 1);
        rejects(
                nested(),
                parts -> parts.put("w.nested_quant_map", unsorted),
                "ascending",
                "entry 2");
    }

    @Test
    void nestedPartsOfAPlainState_areRejected() throws IOException {
        rejects(plain(), parts -> parts.put("w.nested_absmax", f32(1)), "w.nested_absmax is there");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "\"nf4\"|\"fp4\"|quant_type must be nf4",
                "\"nf4\"|4|quant_type must be nf4",
                "64|48|blocksize must be",
                "64|16|blocksize must be",
                "64|8192|blocksize must be",
                "64|-64|blocksize must be",
                "64|64.0|blocksize must be",
                "64|\"64\"|blocksize must be",
                "64|18446744073709551680|blocksize must be",
                "bfloat16|int8|dtype must be",
                "\"bfloat16\"|null|dtype must be",
                "[3, 7]|[]|shape must be",
                "[3, 7]|21|shape must be",
                "[3, 7]|[3, -7]|shape must be",
                "[3, 7]|[0, 7]|shape must be",
                "[3, 7]|[3.0, 7]|shape must be",
                "[3, 7]|[4294967296, 4294967296]|shape must be",
                "[3, 7]|[9223372036854775808]|shape must be",
                "[3, 7]|[3, \"7\"]|shape must be",
                "[3, 7]|[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,21]|shape must be",
                "\"blocksize\"|\"block\"|is not known",
                "}|, \"x\": 1}|x is not known",
                "}|, \"blocksize\": 64}|Duplicate",
                "}|, \"nested_dtype\": \"float32\"}|nested_dtype is not known",
                "}|` `|not valid JSON",
                "}|} {}|not valid JSON",
                "\"nf4\",|\"nf4\"|not valid JSON"
            })
    void badState_isRejected(String from, String to, String rule) throws IOException {
        assertThat(PLAIN).contains(from);
        rejects(plain(), parts -> parts.put(STATE, state(PLAIN.replace(from, to))), STATE, rule);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "256|128|nested_blocksize must be 256",
                "\"float32\"|\"float16\"|nested_dtype must be float32",
                "0.25|NaN|not valid JSON",
                "0.25|1e39|nested_offset must be a finite",
                "0.25|1e400|nested_offset must be a finite",
                "0.25|\"0.25\"|nested_offset must be a finite",
                "0.25|null|nested_offset must be a finite"
            })
    void badNestedState_isRejected(String from, String to, String rule) throws IOException {
        assertThat(NESTED).contains(from);
        rejects(nested(), parts -> parts.put(STATE, state(NESTED.replace(from, to))), STATE, rule);
    }

    @ParameterizedTest
    @ValueSource(strings = {"[1]", "3", "null", "\"nf4\""})
    void stateThatIsNoObject_isRejected(String json) throws IOException {
        rejects(plain(), parts -> parts.put(STATE, state(json)), STATE, "JSON object");
    }

    /** Expected: {@code repr(float)} of CPython 3.11. */
    @ParameterizedTest
    @CsvSource({
        "0.5163788795471191, 0.5163788795471191",
        "0.0, 0.0",
        "-0.0, -0.0",
        "1.0, 1.0",
        "1.0E-4, 0.0001",
        "9.999999747378752E-5, 9.999999747378752e-05",
        "1.0E-5, 1e-05",
        "-1.5E-7, -1.5e-07",
        "1.0E7, 10000000.0",
        "1.2345678E9, 1234567800.0",
        "1.0E15, 1000000000000000.0",
        "1.0E16, 1e+16",
        "1.5E22, 1.5e+22",
        "3.4028234663852886E38, 3.4028234663852886e+38",
        "1.401298464324817E-45, 1.401298464324817e-45",
        "9.999999E-4, 0.0009999999",
        "12345678.5, 12345678.5",
        "1.0E-100, 1e-100"
    })
    void offset_isPrintedAsPythonDoes(double value, String expected) {
        assertThat(BnbQuantState.pythonRepr(value)).isEqualTo(expected);
    }
}
