package org.qlora4j.app.serve;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.Nearest;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The fields of a request, each checked for its type; null and absent are one. */
record Fields(JsonNode json) {
    /**
     * Parses a request's body.
     *
     * @throws ApiError if it is no JSON object
     */
    static Fields parse(byte[] body) {
        JsonNode json;
        try {
            json = JsonMapper.shared().readTree(body);
        } catch (JacksonException e) { // its own message may quote the body
            throw ApiError.of(400, "invalid_json", "the body must be JSON");
        }
        if (json == null || !json.isObject()) {
            throw ApiError.of(400, "invalid_json", "the body must be a JSON object");
        }
        return new Fields(json);
    }

    /** The value of a field, null if it is absent or null. */
    @Nullable JsonNode get(String name) {
        JsonNode value = json.get(name);
        return value == null || value.isNull() ? null : value;
    }

    @Nullable String text(String name) {
        JsonNode value = get(name);
        if (value != null && !value.isString()) {
            throw ApiError.field(name, name + " must be a string");
        }
        return value == null ? null : value.asString();
    }

    String required(String name) {
        String value = text(name);
        if (value == null || value.isEmpty()) {
            throw ApiError.field(name, name + " is missing");
        }
        return value;
    }

    boolean flag(String name) {
        return flag(name, false);
    }

    boolean flag(String name, boolean missing) {
        JsonNode value = get(name);
        if (value != null && !value.isBoolean()) {
            throw ApiError.field(name, name + " must be true or false");
        }
        return value == null ? missing : value.asBoolean();
    }

    int integer(String name, int missing, int least, int most) {
        JsonNode value = get(name);
        if (value == null) {
            return missing;
        }
        if (!isInt(value)) {
            throw ApiError.field(name, name + " must be an integer");
        }
        int number = value.asInt();
        if (number < least || number > most) {
            throw ApiError.field(
                    name, "%s must be from %d to %d, got %d".formatted(name, least, most, number));
        }
        return number;
    }

    /** Whether a value is a number of 32 bits without a fraction; 1.0 is one, as in JSON Schema. */
    static boolean isInt(JsonNode value) {
        return value.isNumber() && value.canConvertToInt() && value.canConvertToExactIntegral();
    }

    double number(String name, double missing, double least, double most) {
        JsonNode value = get(name);
        if (value == null) {
            return missing;
        }
        double number = finite(value);
        if (!(number >= least && number <= most)) {
            throw ApiError.field(
                    name, "%s must be a number from %s to %s".formatted(name, least, most));
        }
        return number;
    }

    /** The value of a number, NaN of anything else and of one that is beyond all bounds. */
    static double finite(JsonNode value) {
        return value.isNumber() && value.canConvertToLong() || value.isFloatingPointNumber()
                ? value.asDouble()
                : Double.NaN;
    }

    /** A text, or a list of texts. */
    List<String> texts(String name, int most) {
        JsonNode value = get(name);
        if (value == null) {
            return List.of();
        }
        List<String> out = new ArrayList<>();
        for (JsonNode each : value.isArray() ? value : List.of(value)) {
            if (!each.isString() || each.asString().isEmpty()) {
                throw ApiError.field(name, name + " must be a text, or a list of texts");
            }
            out.add(each.asString());
        }
        if (out.size() > most) {
            throw ApiError.field(name, "%s may hold %d texts".formatted(name, most));
        }
        return out;
    }

    /** Refuses fields that are not known: their meaning would be lost in silence. */
    void requireOnly(Set<String> known) {
        for (String name : json.propertyNames()) {
            if (!known.contains(name) && get(name) != null) {
                String nearest = Nearest.of(name, known);
                throw ApiError.field(
                        name,
                        "the field %s is not known to this server%s"
                                .formatted(
                                        name.length() > 64 ? name.substring(0, 64) : name,
                                        nearest == null
                                                ? ""
                                                : "; did you mean %s?".formatted(nearest)));
            }
        }
    }
}
