package org.qlora4j.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The methods of Python's dict, list, tuple and range that change nothing. */
final class CollectionMethods {
    static final Set<String> OF_DICT = Set.of("keys", "values", "items", "get", "copy");
    static final Set<String> OF_LIST = Set.of("count", "index", "copy");

    private CollectionMethods() {}

    static Object call(PythonRuntime runtime, Object target, String name, Arguments arguments) {
        return target instanceof Map<?, ?> map
                ? ofDict(runtime, Types.map(map), name, arguments)
                : ofList(runtime, Types.list(target), name, arguments);
    }

    private static Object ofDict(
            PythonRuntime runtime, Map<Object, Object> map, String name, Arguments arguments) {
        if (!name.equals("get")) {
            arguments.bind(name);
        }
        return switch (name) {
            case "keys" -> new DictView("dict_keys", new ArrayList<>(map.keySet()));
            case "values" -> new DictView("dict_values", new ArrayList<>(map.values()));
            case "items" -> new DictView("dict_items", entries(map));
            case "copy" -> new LinkedHashMap<>(map);
            default -> {
                Object[] a = arguments.bind("get", "key", Arguments.REQUIRED, "default", None.NONE);
                Object found = Access.entry(map, Markup.plain(a[0]), runtime.budget());
                yield found == null ? a[1] : found;
            }
        };
    }

    /** Pairs of key and value. */
    static List<Object> entries(Map<Object, Object> map) {
        List<Object> entries = new ArrayList<>(map.size());
        map.forEach((key, value) -> entries.add(Tuple.of(key, value)));
        return entries;
    }

    private static Object ofList(
            PythonRuntime runtime, List<Object> list, String name, Arguments arguments) {
        if (name.equals("copy")) {
            arguments.bind(name);
            return new ArrayList<>(list);
        }
        Object wanted = arguments.bind(name, "value", Arguments.REQUIRED)[0];
        if (name.equals("count")) {
            return list.stream().filter(item -> runtime.comparison().equal(item, wanted)).count();
        }
        for (int i = 0; i < list.size(); i++) {
            if (runtime.comparison().equal(list.get(i), wanted)) {
                return (long) i;
            }
        }
        throw TemplateError.value("%s is not in list", runtime.printer().repr(wanted));
    }
}
