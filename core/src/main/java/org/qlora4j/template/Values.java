package org.qlora4j.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Java values, as a JSON reader gives them, to values of a template: copies, of nothing but plain
 * types.
 */
final class Values {
    private Values() {}

    /**
     * The value for a template.
     *
     * @param where names the value in messages, such as {@code messages[3].content}
     * @throws IllegalArgumentException for other types than null, Boolean, numbers, text, lists and
     *     maps, and for values nested too deep
     */
    static Object of(@Nullable Object value, String where) {
        return of(value, where, 0);
    }

    private static Object of(@Nullable Object value, String where, int depth) {
        if (depth > Budget.MAX_VALUE_DEPTH) {
            throw new IllegalArgumentException(
                    where + " is nested more than " + Budget.MAX_VALUE_DEPTH + " deep");
        }
        return switch (value) {
            case null -> None.NONE;
            case Boolean b -> b;
            case Long n -> n;
            case Integer n -> n.longValue();
            case Short n -> n.longValue();
            case Byte n -> n.longValue();
            case BigInteger n -> Numbers.of(n);
            case Double d -> d;
            case Float f -> f.doubleValue();
            case BigDecimal d -> d.doubleValue();
            case CharSequence text -> text.toString();
            case List<?> list -> list(list, where, depth);
            case Map<?, ?> map -> map(map, where, depth);
            default ->
                    throw new IllegalArgumentException(
                            where
                                    + " is a "
                                    + value.getClass().getName()
                                    + "; a chat template takes plain JSON values");
        };
    }

    private static List<Object> list(List<?> list, String where, int depth) {
        List<Object> items = new ArrayList<>(list.size());
        for (Object item : list) {
            items.add(of(item, where + "[" + items.size() + "]", depth + 1));
        }
        return items;
    }

    private static Map<Object, Object> map(Map<?, ?> map, String where, int depth) {
        Map<Object, Object> entries = new LinkedHashMap<>();
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            Object key = of(entry.getKey(), where + " (a key)", depth + 1);
            entries.put(key, of(entry.getValue(), where + "." + key, depth + 1));
        }
        return entries;
    }
}
