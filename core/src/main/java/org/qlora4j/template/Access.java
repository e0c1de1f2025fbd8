package org.qlora4j.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Attributes, items and slices, in the order in which Jinja2's sandbox looks for them: {@code a.b}
 * is a method first and a key second, {@code a['b']} the other way round. Methods that would change
 * a value are out of reach.
 */
final class Access {
    private static final Set<String> DICT_CHANGES =
            Set.of("clear", "pop", "popitem", "setdefault", "update");
    private static final Set<String> LIST_CHANGES =
            Set.of("append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove");

    /** Weight of looking at every key of a dictionary, which only numbers as keys need. */
    private static final long SEARCH_COST = 16;

    private final PythonRuntime runtime;

    Access(PythonRuntime runtime) {
        this.runtime = runtime;
    }

    /** {@code target.name}. */
    Object attribute(Object target, String name) {
        Object attribute = own(target, name);
        if (attribute != null) {
            return attribute;
        }
        Object item = target instanceof Map<?, ?> map ? map.get(name) : null;
        return item != null ? item : Undefined.member(target, name, runtime.printer());
    }

    /** {@code target[key]}. */
    Object item(Object target, Object key) {
        Object plainKey = Markup.plain(key);
        Object item = itemOrNull(target, plainKey);
        if (item == null && plainKey instanceof String name) {
            item = own(target, name);
        }
        return item != null ? item : Undefined.member(target, plainKey, runtime.printer());
    }

    private @Nullable Object itemOrNull(Object target, Object key) {
        return switch (target) {
            case Undefined undefined -> throw undefined.error();
            case Map<?, ?> map ->
                    isUnhashable(key) ? null : entry(Types.map(map), key, runtime.budget());
            case List<?> list -> Numbers.isInteger(key) ? element(list, Numbers.index(key)) : null;
            case String text -> Numbers.isInteger(key) ? character(text, Numbers.index(key)) : null;
            case Markup markup -> itemOrNull(markup.text(), key);
            default -> null;
        };
    }

    private static boolean isUnhashable(Object key) {
        return key instanceof Map || (key instanceof List && !(key instanceof Tuple));
    }

    /**
     * A dictionary's value, or null; 1, 1.0 and true are the same key.
     *
     * @throws TemplateError if the key is a list or dictionary
     */
    static @Nullable Object entry(Map<Object, Object> map, Object key, Budget budget) {
        Object wanted = Types.key(key, budget);
        Object found = map.get(key);
        if (found != null || !(Types.isNumber(key) || key instanceof Tuple)) {
            return found;
        }
        budget.work(SEARCH_COST * map.size());
        for (Map.Entry<Object, Object> entry : map.entrySet()) {
            if (Types.key(entry.getKey(), budget).equals(wanted)) {
                return entry.getValue();
            }
        }
        return null;
    }

    /**
     * Sets a dictionary's value; a key that equals one already there leaves that as it is written.
     *
     * @throws TemplateError if the key is a list or dictionary
     */
    static void put(Map<Object, Object> map, Object key, Object value, Budget budget) {
        Object wanted = Types.key(key, budget);
        Object written = key;
        if ((Types.isNumber(key) || key instanceof Tuple) && !map.containsKey(key)) {
            budget.work(SEARCH_COST * map.size());
            for (Object other : map.keySet()) {
                written = Types.key(other, budget).equals(wanted) ? other : written;
            }
        }
        map.put(written, value);
    }

    private static @Nullable Object element(List<?> list, long index) {
        long i = index < 0 ? index + list.size() : index;
        return i < 0 || i >= list.size() ? null : list.get((int) i);
    }

    private @Nullable Object character(String text, long index) {
        runtime.budget().work(text.length());
        long length = PyText.length(text);
        long i = index < 0 ? index + length : index;
        return i < 0 || i >= length
                ? null
                : Character.toString(text.codePointAt(text.offsetByCodePoints(0, (int) i)));
    }

    /** Methods and fields that a value has by its type, or null. */
    private @Nullable Object own(Object target, String name) {
        if (target instanceof Undefined undefined) {
            throw undefined.error();
        }
        if (name.startsWith("__") && name.endsWith("__")) {
            return Undefined.unsafe(target, name);
        }
        return switch (target) {
            case String text ->
                    StringMethods.NAMES.contains(name) ? new Method(runtime, text, name) : null;
            case Markup markup -> own(markup.text(), name);
            case Map<?, ?> map ->
                    DICT_CHANGES.contains(name)
                            ? Undefined.unsafe(target, name)
                            : CollectionMethods.OF_DICT.contains(name)
                                    ? new Method(runtime, target, name)
                                    : null;
            case Tuple group when group.isGroup() && name.equals("grouper") -> group.get(0);
            case Tuple group when group.isGroup() && name.equals("list") -> group.get(1);
            case List<?> list ->
                    LIST_CHANGES.contains(name) && !(list instanceof Tuple || list instanceof Range)
                            ? Undefined.unsafe(target, name)
                            : CollectionMethods.OF_LIST.contains(name)
                                    ? new Method(runtime, target, name)
                                    : null;
            case Namespace namespace -> namespace.fields().get(name);
            case Double d when name.equals("is_integer") -> new Method(runtime, target, name);
            case Invocable callable -> callable.field(name);
            default -> null;
        };
    }

    /** {@code target[start:stop:step]}; None stands for a bound that is left out. */
    Object slice(Object target, Object start, Object stop, Object step) {
        if (!isBound(start) || !isBound(stop) || !isBound(step)) {
            throw noSlice(
                    target, "slice indices must be integers or None or have an __index__ method");
        }
        return switch (Markup.plain(target)) {
            case String text -> {
                int[] points = text.codePoints().toArray();
                runtime.budget().work(points.length);
                StringBuilder out = new StringBuilder();
                for (int i : indices(points.length, start, stop, step)) {
                    out.appendCodePoint(points[i]);
                }
                yield out.toString();
            }
            case List<?> list -> {
                runtime.budget().work(list.size());
                List<Object> out = new ArrayList<>();
                for (int i : indices(list.size(), start, stop, step)) {
                    out.add(list.get(i));
                }
                yield list instanceof Tuple ? Tuple.copyOf(out) : out;
            }
            case Map<?, ?> map -> throw noSlice(target, "unhashable type: 'slice'");
            case Undefined undefined -> throw undefined.error();
            default ->
                    throw noSlice(
                            target, "'" + Types.name(target) + "' object is not subscriptable");
        };
    }

    private static boolean isBound(Object value) {
        return value == None.NONE || Numbers.isInteger(value);
    }

    private static TemplateError noSlice(Object target, String reason) {
        return target instanceof Undefined undefined
                ? undefined.error()
                : TemplateError.type("%s", reason);
    }

    /** Positions that a slice takes from a sequence of so many items. */
    private static int[] indices(int length, Object start, Object stop, Object step) {
        long stride = step == None.NONE ? 1 : Numbers.index(step);
        if (stride == 0) {
            throw TemplateError.value("slice step cannot be zero");
        }
        boolean back = stride < 0;
        long from =
                start == None.NONE
                        ? (back ? length - 1 : 0)
                        : bound(Numbers.index(start), length, back);
        long to =
                stop == None.NONE ? (back ? -1 : length) : bound(Numbers.index(stop), length, back);
        long span = back ? from - to : to - from;
        long magnitude = back ? Math.max(1, -Math.max(stride, -Long.MAX_VALUE)) : stride;
        int count = span <= 0 ? 0 : (int) ((span - 1) / magnitude + 1);
        int[] indices = new int[count];
        for (int i = 0; i < count; i++) {
            indices[i] = (int) (back ? from - i * magnitude : from + i * magnitude);
        }
        return indices;
    }

    private static long bound(long index, int length, boolean back) {
        long i = index < 0 ? index + length : index;
        return back ? Math.clamp(i, -1, length - 1) : Math.clamp(i, 0, length);
    }

    /** A method of a value, as {@code target.name} gives it. */
    private record Method(PythonRuntime runtime, Object target, String name) implements Invocable {
        @Override
        public Object call(Arguments arguments) {
            runtime.budget().workOn(target);
            return switch (target) {
                case String text -> StringMethods.call(runtime, text, name, arguments.plain());
                case Double d -> d == Math.rint(d) && Double.isFinite(d);
                default -> CollectionMethods.call(runtime, target, name, arguments);
            };
        }

        @Override
        public String type() {
            return "builtin_function_or_method";
        }
    }
}
