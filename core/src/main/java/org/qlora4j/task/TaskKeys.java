package org.qlora4j.task;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Nearest;

/**
 * Values of one mapping of a task file, read by key. Python functions are refused where their key
 * is read.
 *
 * @param where the file and the keys above, for messages
 */
record TaskKeys(String where, Map<String, Object> values) {
    /** Refuses keys that nothing reads. */
    void requireKnown(Set<String> known) {
        for (String key : values.keySet()) {
            if (!known.contains(key)) {
                String near = Nearest.of(key, known);
                throw wrong(
                        "unknown key %s%s",
                        key, near == null ? "" : "; did you mean " + near + "?");
            }
        }
    }

    FormatException wrong(String format, @Nullable Object... args) {
        return FormatException.of(
                "%s: %s", where, String.format(java.util.Locale.ROOT, format, args));
    }

    /** The value, null if it is missing or null. */
    @Nullable Object get(String key) {
        Object value = values.get(key);
        refuseFunctions(key, value);
        return value;
    }

    private void refuseFunctions(String key, @Nullable Object value) {
        switch (value) {
            case TaskYaml.PythonFunction(String name, String place) ->
                    throw FormatException.of(
                            "%s: %s is the Python function %s (!function), which is never run; write it as a template, or prepare the data with it",
                            place, key, name);
            case List<?> list -> list.forEach(item -> refuseFunctions(key, item));
            case Map<?, ?> map ->
                    map.forEach((name, item) -> refuseFunctions(key + "." + name, item));
            case null, default -> {}
        }
    }

    @Nullable String text(String key) {
        Object value = get(key);
        if (value == null || value instanceof String) {
            return (String) value;
        }
        throw wrong("%s must be text, got %s", key, value);
    }

    String text(String key, String fallback) {
        String text = text(key);
        return text == null ? fallback : text;
    }

    @Nullable Integer whole(String key) {
        Object value = get(key);
        if (value == null) {
            return null;
        }
        if (value instanceof Long number && number == number.intValue()) {
            return number.intValue();
        }
        throw wrong("%s must be a whole number, got %s", key, value);
    }

    int whole(String key, int fallback) {
        Integer number = whole(key);
        return number == null ? fallback : number;
    }

    /** {@link #whole(String, int)} within bounds. */
    int whole(String key, int fallback, int least, int most) {
        int number = whole(key, fallback);
        if (number < least || number > most) {
            throw wrong("%s must be from %d to %d, got %d", key, least, most, number);
        }
        return number;
    }

    double number(String key, double fallback) {
        Object value = get(key);
        if (value == null) {
            return fallback;
        }
        if (value instanceof Number number) {
            return number.doubleValue();
        }
        throw wrong("%s must be a number, got %s", key, value);
    }

    boolean flag(String key, boolean fallback) {
        Object value = get(key);
        if (value == null) {
            return fallback;
        }
        if (value instanceof Boolean flag) {
            return flag;
        }
        throw wrong("%s must be true or false, got %s", key, value);
    }

    /** A text, or a list of them. */
    List<String> texts(String key) {
        Object value = get(key);
        List<String> texts = new ArrayList<>();
        for (Object item :
                value instanceof List<?> list ? list : value == null ? List.of() : List.of(value)) {
            if (!(item instanceof String text)) {
                throw wrong("%s must be text or a list of texts, got %s", key, value);
            }
            texts.add(text);
        }
        return texts;
    }

    /** A mapping, or null. */
    @Nullable TaskKeys mapping(String key) {
        Object value = get(key);
        return value == null ? null : mapping(key, value);
    }

    /** A list of mappings; one alone counts as a list, null if there is none. */
    @Nullable List<TaskKeys> mappings(String key) {
        Object value = get(key);
        if (value == null) {
            return null;
        }
        List<TaskKeys> out = new ArrayList<>();
        for (Object item : value instanceof List<?> list ? list : List.of(value)) {
            out.add(mapping(key, item));
        }
        return out;
    }

    private TaskKeys mapping(String key, @Nullable Object value) {
        if (!(value instanceof Map<?, ?> map)) {
            throw wrong("%s must be a mapping of keys to values, got %s", key, value);
        }
        Map<String, Object> copy = new LinkedHashMap<>();
        map.forEach((name, item) -> copy.put(String.valueOf(name), item));
        return new TaskKeys(where + ": " + key, copy);
    }

    /** A template, a number or a list: how a part of a prompt is written. */
    @Nullable Object template(String key) {
        Object value = get(key);
        return switch (value) {
            case null -> null;
            case String text -> text;
            case Long number -> number;
            case List<?> list -> list;
            case Map<?, ?> map -> Collections.unmodifiableList(new ArrayList<>(map.values()));
            default -> throw wrong("%s must be a template, a number or a list, got %s", key, value);
        };
    }
}
