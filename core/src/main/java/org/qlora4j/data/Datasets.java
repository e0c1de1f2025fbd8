package org.qlora4j.data;

import com.fasterxml.jackson.annotation.JsonClassDescription;
import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.qlora4j.error.ConfigException;

/**
 * What is read, in order: a name, or a list of names and of objects with a {@code path} (see {@link
 * DatasetPart}). Parts without weights follow each other; with weights they are mixed ({@link
 * Interleaving}).
 *
 * @param parts empty as long as none is named
 */
@JsonClassDescription("path, glob, org/name or list of these")
public record Datasets(List<DatasetPart> parts) {
    /** Not given. */
    public static final Datasets NONE = new Datasets(List.of());

    public Datasets {
        parts = List.copyOf(parts);
        boolean mixed = parts.stream().anyMatch(part -> part.weight() != null);
        for (DatasetPart part : parts) {
            if (mixed && part.weight() == null) {
                throw ConfigException.of(
                        "has a weight for some of its parts, but none for %s; give each a weight, or none",
                        part.path());
            }
        }
    }

    /** A file, folder, glob or name of the hub alone. */
    public static Datasets of(String name) {
        return name.isBlank() ? NONE : new Datasets(List.of(DatasetPart.of(name)));
    }

    /** Whether no part is named. */
    public boolean isEmpty() {
        return parts.isEmpty();
    }

    /** Whether the parts are mixed by weight. */
    public boolean isMixed() {
        return !parts.isEmpty() && parts.getFirst().weight() != null;
    }

    /** As written in YAML: a text where that says all, else a list. */
    @JsonValue
    public Object json() {
        if (parts.isEmpty()) {
            return "";
        }
        List<Object> list = new ArrayList<>();
        parts.forEach(part -> list.add(part.json()));
        return list.size() == 1 && list.getFirst() instanceof String ? list.getFirst() : list;
    }

    /**
     * Reads what {@link #json} gives. The message of the {@link ConfigException} for anything else
     * begins after the key, which only the caller knows.
     */
    @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
    static Datasets of(Object json) {
        if (json instanceof String text) {
            return of(text);
        }
        List<DatasetPart> parts = new ArrayList<>();
        for (Object part : json instanceof List<?> list ? list : List.of(json)) {
            parts.add(DatasetPart.of(part));
        }
        if (parts.isEmpty()) {
            throw new ConfigException("is an empty list; name a file, e.g. data.jsonl");
        }
        return new Datasets(parts);
    }

    /** The names, for messages. */
    @Override
    public String toString() {
        return parts.stream().map(DatasetPart::path).collect(Collectors.joining(", "));
    }
}
