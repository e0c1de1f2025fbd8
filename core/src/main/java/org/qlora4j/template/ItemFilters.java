package org.qlora4j.template;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.qlora4j.template.Filters.Filter;
import org.qlora4j.template.TemplateError.Kind;

/** Filters that look at each item, or at an attribute of each, such as {@code 'function.name'}. */
final class ItemFilters {
    static final Map<String, Filter> ALL =
            Map.ofEntries(
                    Map.entry("join", ItemFilters::join),
                    Map.entry("map", ItemFilters::map),
                    Map.entry("select", (r, v, a) -> select(r, v, a, false, true)),
                    Map.entry("reject", (r, v, a) -> select(r, v, a, false, false)),
                    Map.entry("selectattr", (r, v, a) -> select(r, v, a, true, true)),
                    Map.entry("rejectattr", (r, v, a) -> select(r, v, a, true, false)),
                    Map.entry("sort", ItemFilters::sort),
                    Map.entry("unique", ItemFilters::unique),
                    Map.entry("groupby", ItemFilters::groupBy),
                    Map.entry("sum", ItemFilters::sum),
                    Map.entry("min", (r, v, a) -> extreme(r, v, a, "<")),
                    Map.entry("max", (r, v, a) -> extreme(r, v, a, ">")));

    private ItemFilters() {}

    /** Text in small letters unless case counts; other values as they are. */
    static Object caseless(Object value, boolean caseCounts) {
        return !caseCounts && Markup.plain(value) instanceof String text
                ? PyText.lower(text)
                : value;
    }

    /** Reads a dotted attribute from items; None stands for the item itself. */
    private static Function<Object, Object> attribute(
            PythonRuntime runtime, Object path, Object fallback) {
        List<Object> keys = new ArrayList<>();
        if (path instanceof String text) {
            for (String key : PyText.split(text, ".", -1)) {
                boolean digits =
                        !key.isEmpty()
                                && key.length() < 10
                                && key.chars().allMatch(Character::isDigit);
                keys.add(digits ? (Object) Long.parseLong(key) : key);
            }
        } else if (path != None.NONE) {
            keys.add(path);
        }
        return item -> {
            Object value = item;
            for (Object key : keys) {
                value = runtime.access().item(value, key);
                value = value instanceof Undefined && fallback != None.NONE ? fallback : value;
            }
            return value;
        };
    }

    private static Object join(PythonRuntime runtime, Object value, Arguments arguments) {
        Object[] a = arguments.bind("join", "d", "", "attribute", None.NONE);
        Function<Object, Object> attribute = attribute(runtime, a[1], None.NONE);
        String separator = runtime.printer().text(a[0]);
        Budget.Text out = runtime.budget().newText();
        boolean first = true;
        for (Iterator<Object> items = Types.iterator(value); items.hasNext(); first = false) {
            out.append(first ? "" : separator)
                    .append(runtime.printer().text(attribute.apply(items.next())));
        }
        return out.toString();
    }

    private static Object map(PythonRuntime runtime, Object value, Arguments arguments) {
        Function<Object, Object> function;
        if (arguments.positional().isEmpty() && arguments.named().containsKey("attribute")) {
            Map<String, Object> left = new LinkedHashMap<>(arguments.named());
            Object path = left.getOrDefault("attribute", None.NONE);
            Object fallback = left.getOrDefault("default", None.NONE);
            left.keySet().removeAll(Set.of("attribute", "default"));
            if (!left.isEmpty()) {
                throw TemplateError.of(
                        Kind.FILTER_ARGUMENT,
                        "Unexpected keyword argument %s",
                        Printer.quote(left.keySet().iterator().next()));
            }
            function = attribute(runtime, path, fallback);
        } else if (arguments.positional().isEmpty()) {
            throw TemplateError.of(Kind.FILTER_ARGUMENT, "map requires a filter argument");
        } else {
            String filter = StringMethods.string("map", arguments.positional().get(0));
            function = item -> Filters.apply(runtime, filter, item, arguments.skip(1));
        }
        List<Object> mapped = new ArrayList<>();
        if (Types.truth(value)) {
            long held = 0;
            for (Object item : Types.items(value, runtime.budget())) {
                Object made = function.apply(item);
                long bytes = LiveBytes.shallow(made);
                runtime.budget().hold(bytes);
                held += bytes;
                mapped.add(made);
            }
            runtime.budget().release(held);
            runtime.budget().make(held);
        }
        return new Lazy(mapped);
    }

    private static Object select(
            PythonRuntime runtime,
            Object value,
            Arguments arguments,
            boolean byAttribute,
            boolean wanted) {
        List<Object> given = arguments.positional();
        if (byAttribute && given.isEmpty()) {
            throw TemplateError.of(Kind.FILTER_ARGUMENT, "Missing parameter for attribute name");
        }
        int used = byAttribute ? 1 : 0;
        Object path = byAttribute ? given.get(0) : None.NONE;
        Function<Object, Object> attribute = attribute(runtime, path, None.NONE);
        boolean tested = given.size() > used;
        String test = tested ? StringMethods.string("select", given.get(used)) : "";
        Arguments rest = tested ? arguments.skip(used + 1) : Arguments.NONE;
        List<Object> selected = new ArrayList<>();
        if (Types.truth(value)) {
            for (Object item : Types.items(value, runtime.budget())) {
                Object subject = attribute.apply(item);
                boolean holds =
                        tested
                                ? Predicates.test(runtime, test, subject, rest)
                                : Types.truth(subject);
                if (holds == wanted) {
                    selected.add(item);
                }
            }
        }
        return new Lazy(selected);
    }

    private static Object sort(PythonRuntime runtime, Object value, Arguments arguments) {
        Object[] a =
                arguments.bind(
                        "sort", "reverse", false, "case_sensitive", false, "attribute", None.NONE);
        List<Function<Object, Object>> attributes = new ArrayList<>();
        if (a[2] instanceof String paths) {
            PyText.split(paths, ",", -1)
                    .forEach(path -> attributes.add(attribute(runtime, path, None.NONE)));
        } else {
            attributes.add(attribute(runtime, a[2], None.NONE));
        }
        boolean caseCounts = Types.truth(a[1]);
        List<Object> items = Types.items(value, runtime.budget());
        Function<Object, Object> key =
                item ->
                        attributes.stream()
                                .map(at -> caseless(at.apply(item), caseCounts))
                                .toList();
        runtime.comparison().sort(items, key, Types.truth(a[0]));
        return items;
    }

    private static Object unique(PythonRuntime runtime, Object value, Arguments arguments) {
        Object[] a = arguments.bind("unique", "case_sensitive", false, "attribute", None.NONE);
        Function<Object, Object> attribute = attribute(runtime, a[1], None.NONE);
        Set<Object> seen = new HashSet<>();
        List<Object> kept = new ArrayList<>();
        for (Object item : Types.items(value, runtime.budget())) {
            if (seen.add(
                    Types.key(
                            caseless(attribute.apply(item), Types.truth(a[0])),
                            runtime.budget()))) {
                kept.add(item);
            }
        }
        return new Lazy(kept);
    }

    private static Object groupBy(PythonRuntime runtime, Object value, Arguments arguments) {
        Object[] a =
                arguments.bind(
                        "groupby",
                        "attribute",
                        Arguments.REQUIRED,
                        "default",
                        None.NONE,
                        "case_sensitive",
                        false);
        Function<Object, Object> attribute = attribute(runtime, a[0], a[1]);
        Function<Object, Object> key = item -> caseless(attribute.apply(item), Types.truth(a[2]));
        List<Object> items = Types.items(value, runtime.budget());
        runtime.comparison().sort(items, key, false);
        List<Object> groups = new ArrayList<>();
        int start = 0;
        for (int i = 1; i <= items.size(); i++) {
            boolean ends =
                    i == items.size()
                            || !runtime.comparison()
                                    .equal(key.apply(items.get(i)), key.apply(items.get(i - 1)));
            if (ends) {
                List<Object> group = new ArrayList<>(items.subList(start, i));
                groups.add(Tuple.group(attribute.apply(group.get(0)), group));
                start = i;
            }
        }
        return groups;
    }

    private static Object sum(PythonRuntime runtime, Object value, Arguments arguments) {
        Object[] a = arguments.bind("sum", "attribute", None.NONE, "start", 0L);
        Function<Object, Object> attribute = attribute(runtime, a[0], None.NONE);
        if (a[1] instanceof String) {
            throw TemplateError.type("sum() can't sum strings [use ''.join(seq) instead]");
        }
        Object sum = a[1];
        for (Object item : Types.items(value, runtime.budget())) {
            sum = runtime.arithmetic().binary("+", sum, attribute.apply(item));
        }
        return sum;
    }

    private static Object extreme(
            PythonRuntime runtime, Object value, Arguments arguments, String operator) {
        String name = operator.equals("<") ? "min" : "max";
        Object[] a = arguments.bind(name, "case_sensitive", false, "attribute", None.NONE);
        Function<Object, Object> attribute = attribute(runtime, a[1], None.NONE);
        Iterator<Object> items = Types.iterator(value);
        if (!items.hasNext()) {
            return Undefined.because("No aggregated item, sequence was empty.");
        }
        Object best = items.next();
        Object bestKey = caseless(attribute.apply(best), Types.truth(a[0]));
        while (items.hasNext()) {
            Object item = items.next();
            Object key = caseless(attribute.apply(item), Types.truth(a[0]));
            if (runtime.comparison().ordered(operator, key, bestKey)) {
                best = item;
                bestKey = key;
            }
        }
        return best;
    }
}
