package org.qlora4j.checkpoint;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * The JSON header of a safetensors file, checked as a whole: {@code {"name": {"dtype": "F32",
 * "shape": [2], "data_offsets": [0, 8]}, "__metadata__": {"format": "pt"}}}.
 *
 * @param metadata the strings under {@code __metadata__}
 * @param entries the tensors in the order of their bytes
 * @param dataBytes bytes that the tensors take together: they lie one after another from 0 without
 *     a gap
 */
record SafetensorsHeader(Map<String, String> metadata, List<Entry> entries, long dataBytes) {
    private static final int MAX_RANK = 16;

    /** One tensor; its bytes are {@code [begin, end)}, counted from the end of the header. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Entry(String name, StoredType type, long[] shape, long begin, long end) {}

    /** Parses and checks the text; {@code file} is for messages only. */
    static SafetensorsHeader parse(Path file, String text) {
        if (!text.startsWith("{")) {
            throw FormatException.of(
                    "%s: the header must start with '{'; this is no safetensors file, or it is damaged",
                    file);
        }
        var metadata = new LinkedHashMap<String, String>();
        var entries = new ArrayList<Entry>();
        try (JsonParser json = StrictJson.parser(text)) {
            json.nextToken();
            while (json.nextToken() == JsonToken.PROPERTY_NAME) {
                String name = json.currentName();
                if (name.equals("__metadata__")) {
                    readMetadata(file, json, metadata);
                } else {
                    entries.add(readEntry(file, name, json));
                }
            }
            if (json.nextToken() != null) {
                throw FormatException.of(
                        "%s: the header goes on after its closing '}'; the file is damaged", file);
            }
        } catch (JacksonException e) {
            throw StrictJson.broken(file, "header", e);
        }
        entries.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
        long end = 0;
        for (Entry entry : entries) {
            if (entry.begin != end) {
                throw FormatException.of(
                        "%s: tensor %s begins at byte %d of the data, but the one before ends at %d;"
                                + " tensors must neither overlap nor leave gaps, the file is damaged",
                        file, entry.name, entry.begin, end);
            }
            end = entry.end;
        }
        return new SafetensorsHeader(metadata, entries, end);
    }

    private static void readMetadata(Path file, JsonParser json, Map<String, String> into) {
        expect(file, "__metadata__", json, JsonToken.START_OBJECT, "an object of strings");
        while (json.nextToken() == JsonToken.PROPERTY_NAME) {
            String key = json.currentName();
            expect(file, "__metadata__." + key, json, JsonToken.VALUE_STRING, "a string");
            into.put(key, json.getString());
        }
    }

    private static Entry readEntry(Path file, String name, JsonParser json) {
        if (name.chars().anyMatch(Character::isISOControl)) {
            throw FormatException.of(
                    "%s: tensor name '%s' holds a control character; the file is damaged",
                    file, StrictJson.clip(name));
        }
        expect(
                file,
                name,
                json,
                JsonToken.START_OBJECT,
                "an object with dtype, shape and data_offsets");
        @Nullable StoredType type = null;
        long @Nullable [] shape = null;
        long @Nullable [] offsets = null;
        while (json.nextToken() == JsonToken.PROPERTY_NAME) {
            switch (json.currentName()) {
                case "dtype" -> type = readType(file, name, json);
                case "shape" -> shape = readIntegers(file, name + ".shape", json, MAX_RANK);
                case "data_offsets" ->
                        offsets = readIntegers(file, name + ".data_offsets", json, 2);
                default -> {
                    json.nextToken(); // a key of a later version
                    json.skipChildren();
                }
            }
        }
        if (type == null || shape == null || offsets == null || offsets.length != 2) {
            throw FormatException.of(
                    "%s: tensor %s needs dtype, shape and two data_offsets; the file is damaged",
                    file, name);
        }
        long bytes;
        try {
            bytes = type.bytesOf(shape);
        } catch (ArithmeticException e) {
            throw new FormatException(
                    "%s: tensor %s has an impossible size (%s); the file is damaged"
                            .formatted(file, name, e.getMessage()),
                    e);
        }
        if (offsets[1] < offsets[0] || offsets[1] - offsets[0] != bytes) {
            throw FormatException.of(
                    "%s: tensor %s has data_offsets [%d, %d], but its type and shape take %d bytes;"
                            + " the file is damaged",
                    file, name, offsets[0], offsets[1], bytes);
        }
        return new Entry(name, type, shape, offsets[0], offsets[1]);
    }

    private static StoredType readType(Path file, String name, JsonParser json) {
        expect(file, name + ".dtype", json, JsonToken.VALUE_STRING, "the name of a type");
        StoredType type = StoredType.named(json.getString());
        if (type == null) {
            throw FormatException.of(
                    "%s: tensor %s has the unknown dtype '%s'; a later version of qlora4j may know it",
                    file, name, StrictJson.clip(json.getString()));
        }
        return type;
    }

    private static long[] readIntegers(Path file, String key, JsonParser json, int most) {
        expect(file, key, json, JsonToken.START_ARRAY, "an array of integers");
        var integers = new long[most];
        int count = 0;
        while (json.nextToken() != JsonToken.END_ARRAY) {
            boolean fits =
                    json.currentToken() == JsonToken.VALUE_NUMBER_INT
                            && json.getNumberType() != JsonParser.NumberType.BIG_INTEGER
                            && json.getLongValue() >= 0;
            if (!fits || count == most) {
                throw FormatException.of(
                        "%s: %s must be at most %d integers from 0 to 2^63-1, got '%s'; the file is damaged",
                        file, key, most, StrictJson.clip(json.getString()));
            }
            integers[count++] = json.getLongValue();
        }
        return Arrays.copyOf(integers, count);
    }

    private static void expect(
            Path file, String key, JsonParser json, JsonToken token, String rule) {
        if (json.nextToken() != token) {
            throw FormatException.of("%s: %s must be %s; the file is damaged", file, key, rule);
        }
    }
}
