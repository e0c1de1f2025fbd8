package org.qlora4j.data;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;

/**
 * One of the data sets of a run. Its keys are those of {@code datasets.load_dataset}, where it has
 * them.
 *
 * @param path a file, folder, glob, or repository of the hub ({@code org/name}, {@code
 *     org/name:split})
 * @param name the configuration of a repository, the folder of its files; empty for its default
 * @param split which part of a folder or repository; empty for what the use asks for, {@code train}
 *     or the split of evaluation
 * @param weight its share when mixed, against the sum of all weights; above 0, null to follow the
 *     part before it
 * @param maxSamples records used, from the first; 0 for all
 * @param columns field to column, over {@code data.columns}
 * @param datasetFormat over {@code data.dataset_format}, null to leave it to that
 */
public record DatasetPart(
        String path,
        String name,
        String split,
        @Nullable Double weight,
        int maxSamples,
        Map<String, String> columns,
        @Nullable DatasetFormat datasetFormat) {
    private static final List<String> KEYS =
            List.of("path", "name", "split", "weight", "max_samples", "columns", "dataset_format");

    public DatasetPart {
        if (path.isBlank()) {
            throw new ConfigException("has a part with an empty path; name a file or org/name");
        }
        if (weight != null && !(weight > 0 && Double.isFinite(weight))) {
            throw ConfigException.of("has weight %s for %s; it must be above 0", weight, path);
        }
        if (maxSamples < 0) {
            throw ConfigException.of(
                    "has max_samples %d for %s; it must be 0 (all) or more", maxSamples, path);
        }
        columns = Map.copyOf(columns);
    }

    static DatasetPart of(String path) {
        return new DatasetPart(path, "", "", null, 0, Map.of(), null);
    }

    /** As written in YAML: the path alone where that says all. */
    Object json() {
        if (equals(of(path))) {
            return path;
        }
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("path", path);
        putUnless(json, "name", name, "");
        putUnless(json, "split", split, "");
        putUnless(json, "weight", weight, null);
        putUnless(json, "max_samples", maxSamples, 0);
        putUnless(json, "columns", columns, Map.of());
        putUnless(json, "dataset_format", datasetFormat == null ? null : datasetFormat.key(), null);
        return json;
    }

    private static void putUnless(
            Map<String, Object> json, String key, @Nullable Object value, @Nullable Object plain) {
        if (value != null && !value.equals(plain)) {
            json.put(key, value);
        }
    }

    /** Reads what {@link #json} gives; a {@link ConfigException} that begins after the key. */
    static DatasetPart of(@Nullable Object json) {
        if (json instanceof String path) {
            return of(path);
        }
        if (!(json instanceof Map<?, ?> map)) {
            throw ConfigException.of(
                    "must name a file, org/name or a list of these, got %s", Row.kind(json));
        }
        for (Object key : map.keySet()) {
            if (!KEYS.contains(String.valueOf(key))) {
                throw ConfigException.of(
                        "has a part with the unknown key %s; there are %s",
                        key, String.join(", ", KEYS));
            }
        }
        Map<String, String> columns = new LinkedHashMap<>();
        if (value(map, "columns", Map.class) instanceof Map<?, ?> given) {
            given.forEach((field, column) -> columns.put(text(field), text(column)));
        }
        Number weight = value(map, "weight", Number.class);
        Number maxSamples = value(map, "max_samples", Number.class);
        String format = value(map, "dataset_format", String.class);
        return new DatasetPart(
                textOf(map, "path"),
                textOf(map, "name"),
                textOf(map, "split"),
                weight == null ? null : weight.doubleValue(),
                maxSamples == null ? 0 : whole(maxSamples),
                columns,
                format == null ? null : DatasetFormat.parse(format));
    }

    private static String textOf(Map<?, ?> map, String key) {
        String text = value(map, key, String.class);
        return text == null ? "" : text;
    }

    private static <T> @Nullable T value(Map<?, ?> map, String key, Class<T> type) {
        Object value = map.get(key);
        if (value == null || type.isInstance(value)) {
            return value == null ? null : type.cast(value);
        }
        String kind = type == String.class ? "text" : type == Number.class ? "a number" : "a map";
        throw ConfigException.of(
                "has a part whose %s must be %s, got %s", key, kind, Row.kind(value));
    }

    private static String text(@Nullable Object value) {
        if (value instanceof String text && !text.isBlank()) {
            return text;
        }
        throw ConfigException.of(
                "has a part whose columns must map names to names, got %s", Row.kind(value));
    }

    private static int whole(Number number) {
        if (number.doubleValue() != number.intValue()) {
            throw ConfigException.of(
                    "has a part whose max_samples must be a whole number, got %s", number);
        }
        return number.intValue();
    }
}
