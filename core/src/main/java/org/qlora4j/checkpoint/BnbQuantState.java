package org.qlora4j.checkpoint;

import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.JsonNode;

/**
 * The JSON that stands, one byte an element, in the tensor {@code
 * P.weight.quant_state.bitsandbytes__nf4}: {@code {"quant_type": "nf4", "blocksize": 64, "dtype":
 * "bfloat16", "shape": [4096, 4096], "nested_blocksize": 256, "nested_dtype": "float32",
 * "nested_offset": 0.04374}}, without the last three if the scales are plain.
 *
 * @param nestedOffset offset of the scales, or null if they are plain
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record BnbQuantState(
        String quantType, int blockSize, String dtype, long[] shape, @Nullable Float nestedOffset) {
    /** The only second-level block size that bitsandbytes multiplies with. */
    static final int NESTED_BLOCK_SIZE = 256;

    private static final int MAX_RANK = 16;
    private static final Set<String> DTYPES = Set.of("float32", "float16", "bfloat16");
    private static final Set<String> KEYS = Set.of("quant_type", "blocksize", "dtype", "shape");
    private static final Set<String> NESTED_KEYS =
            Set.of("nested_blocksize", "nested_dtype", "nested_offset");

    /**
     * Parses and checks the text.
     *
     * @param key name of the tensor it comes from
     * @param type what the tensor's name says the type is
     */
    static BnbQuantState parse(Path file, String key, String type, String text) {
        return new Parser(file, key).parse(type, text);
    }

    private record Parser(Path file, String key) {
        BnbQuantState parse(String type, String text) {
            JsonNode json = StrictJson.object(file, key, text);
            boolean nested = json.has("nested_offset");
            for (String name : json.propertyNames()) {
                check(
                        KEYS.contains(name) || (nested && NESTED_KEYS.contains(name)),
                        name,
                        "is not known here",
                        json.path(name));
            }
            JsonNode quantType = json.path("quant_type");
            check(
                    type.equals(quantType.asStringOpt().orElse("")),
                    "quant_type",
                    "must be " + type,
                    quantType);
            JsonNode blockSize = json.path("blocksize");
            int block = blockSize.isInt() ? blockSize.intValue() : 0;
            check(
                    block >= 32 && block <= 4096 && Integer.bitCount(block) == 1,
                    "blocksize",
                    "must be a power of two from 32 to 4096",
                    blockSize);
            JsonNode dtype = json.path("dtype");
            check(
                    DTYPES.contains(dtype.asStringOpt().orElse("")),
                    "dtype",
                    "must be one of " + DTYPES,
                    dtype);
            return new BnbQuantState(
                    type,
                    block,
                    dtype.stringValue(),
                    shape(json.path("shape")),
                    nested ? offset(json) : null);
        }

        private long[] shape(JsonNode json) {
            String rule =
                    "must be an array of 1 to "
                            + MAX_RANK
                            + " positive integers whose product fits 63 bits";
            check(
                    json.isArray() && json.size() >= 1 && json.size() <= MAX_RANK,
                    "shape",
                    rule,
                    json);
            var shape = new long[json.size()];
            for (int i = 0; i < shape.length; i++) {
                JsonNode dimension = json.get(i);
                check(
                        dimension.isIntegralNumber() && dimension.canConvertToLong(),
                        "shape",
                        rule,
                        json);
                shape[i] = dimension.longValue();
                check(shape[i] >= 1, "shape", rule, json);
            }
            try {
                StoredType.elements(shape);
            } catch (ArithmeticException e) {
                check(false, "shape", rule, json);
            }
            return shape;
        }

        private float offset(JsonNode json) {
            JsonNode block = json.path("nested_blocksize");
            check(
                    block.isInt() && block.intValue() == NESTED_BLOCK_SIZE,
                    "nested_blocksize",
                    "must be " + NESTED_BLOCK_SIZE,
                    block);
            JsonNode dtype = json.path("nested_dtype");
            check(
                    "float32".equals(dtype.asStringOpt().orElse("")),
                    "nested_dtype",
                    "must be float32",
                    dtype);
            JsonNode offset = json.path("nested_offset");
            float value = offset.isNumber() ? (float) offset.doubleValue() : Float.NaN;
            check(Float.isFinite(value), "nested_offset", "must be a finite number", offset);
            return value;
        }

        private void check(boolean condition, String name, String rule, JsonNode value) {
            if (!condition) {
                throw FormatException.of(
                        "%s: %s: %s %s, got %s; the file is damaged, or of another version of bitsandbytes",
                        file,
                        key,
                        StrictJson.clip(name),
                        rule,
                        value.isMissingNode() ? "nothing" : StrictJson.clip(value.toString()));
            }
        }
    }

    /** The text as Python's {@code json.dumps} writes it. */
    String toJson() {
        String shapeText =
                Arrays.stream(shape)
                        .mapToObj(Long::toString)
                        .collect(Collectors.joining(", ", "[", "]"));
        String text =
                "{\"quant_type\": \"%s\", \"blocksize\": %d, \"dtype\": \"%s\", \"shape\": %s"
                        .formatted(quantType, blockSize, dtype, shapeText);
        if (nestedOffset == null) {
            return text + "}";
        }
        return text
                + ", \"nested_blocksize\": %d, \"nested_dtype\": \"float32\", \"nested_offset\": %s}"
                        .formatted(NESTED_BLOCK_SIZE, pythonRepr(nestedOffset));
    }

    /**
     * A double as Python prints it: the shortest digits, with an exponent below 1e-4 and from 1e16
     * on.
     */
    static String pythonRepr(double value) {
        double magnitude = Math.abs(value);
        if (magnitude == 0 || (magnitude >= 1e-3 && magnitude < 1e7)) {
            return Double.toString(value);
        }
        BigDecimal digits = new BigDecimal(Double.toString(value)).stripTrailingZeros();
        if (magnitude >= 1e-4 && magnitude < 1e16) {
            String plain = digits.toPlainString();
            return plain.contains(".") ? plain : plain + ".0";
        }
        String unscaled = digits.unscaledValue().abs().toString();
        int exponent = unscaled.length() - 1 - digits.scale();
        String mantissa =
                unscaled.charAt(0) + (unscaled.length() > 1 ? "." + unscaled.substring(1) : "");
        return "%s%se%s%02d"
                .formatted(
                        value < 0 ? "-" : "",
                        mantissa,
                        exponent < 0 ? "-" : "+",
                        Math.abs(exponent));
    }
}
