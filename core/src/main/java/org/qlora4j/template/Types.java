package org.qlora4j.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What kinds of values there are: None, Boolean, Long, BigInteger, Double, String, List (Tuple,
 * Range), Map, and the few that only arise inside a template. Nothing else ever reaches one, so
 * there is no Java object to reflect on.
 */
final class Types {
    private Types() {}

    /** The type's name in Python. */
    static String name(Object value) {
        return switch (value) {
            case None none -> "NoneType";
            case Boolean b -> "bool";
            case Long n -> "int";
            case BigInteger n -> "int";
            case Double d -> "float";
            case String s -> "str";
            case Markup m -> "markupsafe.Markup";
            case Tuple t -> t.isGroup() ? "jinja2.filters._GroupTuple" : "tuple";
            case Range r -> "range";
            case List<?> list -> "list";
            case Map<?, ?> map -> "dict";
            case Undefined u -> "Undefined";
            case Lazy g -> "generator";
            case DictView view -> view.type();
            case Namespace n -> "Namespace";
            case Invocable i -> i.type();
            default -> throw new IllegalStateException("not a template value: " + value.getClass());
        };
    }

    static boolean truth(Object value) {
        return switch (value) {
            case None none -> false;
            case Boolean b -> b;
            case Long n -> n != 0;
            case BigInteger n -> n.signum() != 0;
            case Double d -> d != 0;
            case String s -> !s.isEmpty();
            case Markup m -> !m.text().isEmpty();
            case List<?> list -> !list.isEmpty();
            case Map<?, ?> map -> !map.isEmpty();
            case DictView view -> !view.items().isEmpty();
            case Undefined u -> false;
            default -> true;
        };
    }

    static boolean isNumber(Object value) {
        return value instanceof Boolean
                || value instanceof Long
                || value instanceof BigInteger
                || value instanceof Double;
    }

    static boolean isIterable(Object value) {
        return value instanceof String
                || value instanceof Markup
                || value instanceof List
                || value instanceof Map
                || value instanceof Lazy
                || value instanceof DictView
                || value instanceof Undefined;
    }

    /** Length, or null for what has none. */
    static @Nullable Long length(Object value) {
        return switch (value) {
            case String s -> (long) s.codePointCount(0, s.length());
            case Markup m -> (long) m.text().codePointCount(0, m.text().length());
            case List<?> list -> (long) list.size();
            case Map<?, ?> map -> (long) map.size();
            case DictView view -> (long) view.items().size();
            case Undefined u -> 0L;
            case LoopState loop -> loop.length();
            default -> null;
        };
    }

    /**
     * Walks over a value as Python's {@code for} does: characters of text, keys of a dictionary.
     */
    static Iterator<Object> iterator(Object value) {
        return switch (value) {
            case String s -> s.codePoints().<Object>mapToObj(Character::toString).iterator();
            case Markup m -> iterator(m.text());
            case List<?> list -> castIterator(list.iterator());
            case Map<?, ?> map -> castIterator(map.keySet().iterator());
            case Lazy lazy -> lazy.items();
            case DictView view -> view.items().iterator();
            case Undefined u -> List.of().iterator();
            default -> throw TemplateError.type("'%s' object is not iterable", name(value));
        };
    }

    @SuppressWarnings("unchecked") // every list and map of a template holds template values
    private static Iterator<Object> castIterator(Iterator<?> iterator) {
        return (Iterator<Object>) iterator;
    }

    /** All items, in a new list. */
    static List<Object> items(Object value, Budget budget) {
        Long length = length(value);
        budget.items(length == null ? 0 : length);
        List<Object> items = new ArrayList<>();
        iterator(value).forEachRemaining(items::add);
        budget.work(items.size());
        return items;
    }

    @SuppressWarnings("unchecked") // as above
    static Map<Object, Object> map(Object value) {
        return (Map<Object, Object>) value;
    }

    @SuppressWarnings("unchecked") // as above
    static List<Object> list(Object value) {
        return (List<Object>) value;
    }

    /**
     * A Java value that equals another's exactly if Python's dictionaries hold the two for one key.
     *
     * @throws TemplateError of kind TYPE for lists, dictionaries and what else cannot be a key
     */
    static Object key(Object value, Budget budget) {
        if (value instanceof Tuple tuple) {
            measure(
                    tuple, budget,
                    0); // parts that a tuple holds many times over make it larger than memory
        }
        return key(value);
    }

    private static void measure(Tuple tuple, Budget budget, int depth) {
        budget.valueDepth(depth);
        for (Object item : tuple) {
            budget.work(Budget.SIZE_OF_STEP);
            if (item instanceof Tuple inner) {
                measure(inner, budget, depth + 1);
            }
        }
    }

    private static Object key(Object value) {
        return switch (value) {
            case Boolean b -> b ? BigDecimal.ONE : BigDecimal.ZERO;
            case Long n -> n == 0 ? BigDecimal.ZERO : BigDecimal.valueOf(n).stripTrailingZeros();
            case BigInteger n -> new BigDecimal(n).stripTrailingZeros();
            case Double d ->
                    Double.isFinite(d)
                            ? (d == 0 ? BigDecimal.ZERO : new BigDecimal(d).stripTrailingZeros())
                            : d;
            case Markup m -> m.text();
            case Tuple t -> t.stream().map(Types::key).collect(Collectors.toList());
            case Range r -> throw unhashable(value);
            case List<?> list -> throw unhashable(value);
            case Map<?, ?> map -> throw unhashable(value);
            case Undefined u -> Undefined.class;
            default -> value;
        };
    }

    private static TemplateError unhashable(Object value) {
        return TemplateError.type("unhashable type: '%s'", name(value));
    }
}
