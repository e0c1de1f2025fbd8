package org.qlora4j.data;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * One record of a data file and where it stands.
 *
 * @param file the file as the user named it
 * @param line the line it begins in, from 1
 * @param fields values by name in the file's order: null, Boolean, Long, BigInteger, Double,
 *     String, List or Map
 * @param table whether all records have the same fields, so that a null may only mean that another
 *     record has a value there (Parquet)
 */
public record Row(String file, int line, Map<String, Object> fields, boolean table) {
    /** A record that has the fields that its writer gave it. */
    public Row(String file, int line, Map<String, Object> fields) {
        this(file, line, fields, false);
    }

    /** The same record with other fields. */
    Row with(Map<String, Object> others) {
        return new Row(file, line, others, table);
    }

    /** The text of a field that must be there. */
    public String text(String field) {
        Object value = fields.get(field);
        if (value instanceof String text) {
            return text;
        }
        if (!fields.containsKey(field)) {
            throw error("field %s is missing; the record has %s", field, fields.keySet());
        }
        throw error("field %s must be text, got %s", field, Row.kind(value));
    }

    /** The text of a field, empty if the field is missing or null. */
    public String textOrEmpty(String field) {
        return fields.get(field) == null ? "" : text(field);
    }

    /** An error with this record's place before the formatted message. */
    @SuppressWarnings("AnnotateFormatMethod") // its annotation is in a library we do without
    public FormatException error(String format, @Nullable Object... args) {
        return new FormatException(
                file + ":" + line + ": " + String.format(Locale.ROOT, format, args));
    }

    /** A value as messages name it: its JSON type, and itself where that is short. */
    static String kind(@Nullable Object value) {
        return switch (value) {
            case null -> "null";
            case Boolean b -> "the boolean " + b;
            case Number n -> "the number " + n;
            case String s -> "text";
            case List<?> l -> "a list";
            default -> "an object";
        };
    }
}
