package org.qlora4j.template;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.qlora4j.template.Filters.Filter;
import org.qlora4j.template.TemplateError.Kind;

/** Filters on a whole sequence or dictionary: its length, ends, order and parts. */
final class SequenceFilters {
    static final Map<String, Filter> ALL =
            Map.ofEntries(
                    Map.entry("length", (r, v, a) -> length(v, a)),
                    Map.entry("count", (r, v, a) -> length(v, a)),
                    Map.entry("list", (r, v, a) -> Types.items(bare(v, a, "list"), r.budget())),
                    Map.entry("first", (r, v, a) -> first(bare(v, a, "first"))),
                    Map.entry("last", (r, v, a) -> last(r, bare(v, a, "last"))),
                    Map.entry("reverse", (r, v, a) -> reverse(r, bare(v, a, "reverse"))),
                    Map.entry("items", (r, v, a) -> items(bare(v, a, "items"))),
                    Map.entry("default", (r, v, a) -> orDefault(v, a)),
                    Map.entry("d", (r, v, a) -> orDefault(v, a)),
                    Map.entry("attr", SequenceFilters::attribute),
                    Map.entry("batch", SequenceFilters::batch),
                    Map.entry("slice", SequenceFilters::slice),
                    Map.entry("dictsort", SequenceFilters::dictSort));

    private SequenceFilters() {}

    private static Object bare(Object value, Arguments arguments, String name) {
        arguments.bind(name);
        return value;
    }

    private static Object length(Object value, Arguments arguments) {
        arguments.bind("length");
        Long length = Types.length(value);
        if (length == null) {
            throw TemplateError.type("object of type '%s' has no len()", Types.name(value));
        }
        return length;
    }

    private static Object first(Object value) {
        Iterator<Object> items = Types.iterator(value);
        return items.hasNext()
                ? items.next()
                : Undefined.because("No first item, sequence was empty.");
    }

    private static Object last(PythonRuntime runtime, Object value) {
        if (value instanceof Lazy) {
            throw TemplateError.type("'generator' object is not reversible");
        }
        List<Object> items = Types.items(value, runtime.budget());
        return items.isEmpty()
                ? Undefined.because("No last item, sequence was empty.")
                : items.getLast();
    }

    private static Object reverse(PythonRuntime runtime, Object value) {
        if (value instanceof String text) {
            return new StringBuilder(text).reverse().toString();
        }
        if (!Types.isIterable(value)) {
            throw TemplateError.of(Kind.FILTER_ARGUMENT, "argument must be iterable");
        }
        List<Object> items = Types.items(value, runtime.budget());
        Collections.reverse(items);
        return value instanceof Lazy ? items : new Lazy(items);
    }

    private static Object items(Object value) {
        if (value instanceof Undefined) {
            return new Lazy(List.of());
        }
        if (!(value instanceof Map)) {
            throw TemplateError.type("Can only get item pairs from a mapping.");
        }
        return new Lazy(CollectionMethods.entries(Types.map(value)));
    }

    private static Object orDefault(Object value, Arguments arguments) {
        Object[] a = arguments.bind("default", "default_value", "", "boolean", false);
        return value instanceof Undefined || (Types.truth(a[1]) && !Types.truth(value))
                ? a[0]
                : value;
    }

    private static Object attribute(PythonRuntime runtime, Object value, Arguments arguments) {
        String name =
                StringMethods.string("attr", arguments.bind("attr", "name", Arguments.REQUIRED)[0]);
        boolean keyOnly = value instanceof Map<?, ?> map && map.containsKey(name);
        Object found = runtime.access().attribute(value, name);
        boolean method = found instanceof Invocable || found instanceof Undefined;
        return keyOnly && !method ? Undefined.member(value, name, runtime.printer()) : found;
    }

    private static Object batch(PythonRuntime runtime, Object value, Arguments arguments) {
        Object[] a =
                arguments.bind("batch", "linecount", Arguments.REQUIRED, "fill_with", None.NONE);
        long size = Numbers.index(a[0]);
        List<Object> rows = new ArrayList<>();
        List<Object> row = new ArrayList<>();
        for (Object item : Types.items(value, runtime.budget())) {
            if (row.size() == size) {
                rows.add(row);
                row = new ArrayList<>();
            }
            row.add(item);
        }
        if (!row.isEmpty()) {
            if (a[1] != None.NONE && row.size() < size) {
                runtime.budget().items(size);
                row.addAll(Collections.nCopies((int) size - row.size(), a[1]));
            }
            rows.add(row);
        }
        return new Lazy(rows);
    }

    private static Object slice(PythonRuntime runtime, Object value, Arguments arguments) {
        Object[] a = arguments.bind("slice", "slices", Arguments.REQUIRED, "fill_with", None.NONE);
        long slices = Numbers.index(a[0]);
        List<Object> items = Types.items(value, runtime.budget());
        if (slices == 0) {
            throw TemplateError.of(Kind.ZERO_DIVISION, "integer division or modulo by zero");
        }
        runtime.budget().items(slices);
        List<Object> parts = new ArrayList<>();
        int start = 0;
        for (long i = 0; i < slices; i++) {
            boolean extra = i < items.size() % slices;
            int end = start + (int) (items.size() / slices) + (extra ? 1 : 0);
            List<Object> part = new ArrayList<>(items.subList(start, end));
            if (a[1] != None.NONE && !extra) {
                part.add(a[1]);
            }
            parts.add(part);
            start = end;
        }
        return new Lazy(parts);
    }

    private static Object dictSort(PythonRuntime runtime, Object value, Arguments arguments) {
        Object[] a =
                arguments.bind("dictsort", "case_sensitive", false, "by", "key", "reverse", false);
        int position = a[1].equals("key") ? 0 : a[1].equals("value") ? 1 : -1;
        if (position < 0) {
            throw TemplateError.of(
                    Kind.FILTER_ARGUMENT, "You can only sort by either \"key\" or \"value\"");
        }
        if (value instanceof Undefined undefined) {
            throw undefined.error();
        }
        if (!(value instanceof Map)) {
            throw TemplateError.type("dictsort needs a mapping, not %s", Types.name(value));
        }
        List<Object> entries = CollectionMethods.entries(Types.map(value));
        boolean exact = Types.truth(a[0]);
        runtime.comparison()
                .sort(
                        entries,
                        entry -> ItemFilters.caseless(Types.list(entry).get(position), exact),
                        Types.truth(a[2]));
        return entries;
    }
}
