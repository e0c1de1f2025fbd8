package org.qlora4j.data;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Nulls that nobody wrote. A table (Parquet, {@code datasets}) gives every object of a column the
 * fields of all of them, null where an object has none; a chat template would print them, and ask
 * for the length of {@code tool_calls: null}.
 */
final class TableNulls {
    private TableNulls() {}

    /**
     * Whether a list of objects was a column of a table: two of them at least, all with the same
     * fields, some of these null beside {@code content}, which a call may leave null by itself.
     */
    static boolean areIn(List<?> objects) {
        if (objects.size() < 2 || !(objects.getFirst() instanceof Map<?, ?> first)) {
            return false;
        }
        boolean some = false;
        for (Object object : objects) {
            if (!(object instanceof Map<?, ?> map) || !map.keySet().equals(first.keySet())) {
                return false;
            }
            some |=
                    map.entrySet().stream()
                            .anyMatch(e -> e.getValue() == null && !"content".equals(e.getKey()));
        }
        return some;
    }

    /** A list whose objects have no null fields, however deep; nulls of lists stay. */
    static List<@Nullable Object> without(List<?> list) {
        List<@Nullable Object> items = new ArrayList<>(list.size());
        list.forEach(item -> items.add(without(item)));
        return items;
    }

    /** An object without null fields, however deep. */
    static Map<String, Object> without(Map<?, ?> map) {
        Map<String, Object> kept = new LinkedHashMap<>();
        map.forEach((name, inner) -> {
            Object plain = without(inner);
            if (plain != null) {
                kept.put(String.valueOf(name), plain);
            }
        });
        return kept;
    }

    /** A value whose objects have no null fields, however deep. */
    static @Nullable Object without(@Nullable Object value) {
        return switch (value) {
            case Map<?, ?> map -> without(map);
            case List<?> list -> without(list);
            case null, default -> value;
        };
    }
}
