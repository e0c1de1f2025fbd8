package org.qlora4j.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Values given to a call, a filter or a test. */
record Arguments(List<Object> positional, Map<String, Object> named) {
    /** In place of a default: the parameter must be given. */
    static final Object REQUIRED = new Object();

    static final Arguments NONE = new Arguments(List.of(), Map.of());

    static Arguments of(Object... positional) {
        return new Arguments(List.of(positional), Map.of());
    }

    /**
     * Values in the order of the parameters.
     *
     * @param function name for messages
     * @param parameters name, default, name, default, and so on
     * @throws TemplateError of kind TYPE if one is missing, unknown, given twice, or there are too
     *     many
     */
    Object[] bind(String function, Object... parameters) {
        int count = parameters.length / 2;
        if (positional.size() > count) {
            throw TemplateError.type(
                    "%s() takes at most %d arguments (%d given)",
                    function, count, positional.size());
        }
        Map<String, Object> left = new LinkedHashMap<>(named);
        Object[] values = new Object[count];
        for (int i = 0; i < count; i++) {
            String name = (String) parameters[2 * i];
            boolean isNamed = left.containsKey(name);
            if (i < positional.size()) {
                if (isNamed) {
                    throw TemplateError.type(
                            "%s() got multiple values for argument '%s'", function, name);
                }
                values[i] = positional.get(i);
            } else {
                values[i] = isNamed ? left.remove(name) : parameters[2 * i + 1];
            }
            if (values[i] == REQUIRED) {
                throw TemplateError.type("%s() missing required argument: '%s'", function, name);
            }
        }
        if (!left.isEmpty()) {
            String name = left.keySet().iterator().next();
            throw TemplateError.type(
                    "%s() got an unexpected keyword argument '%s'", function, name);
        }
        return values;
    }

    /** Without the first {@code count} positional ones. */
    Arguments skip(int count) {
        return new Arguments(positional.subList(count, positional.size()), named);
    }

    /** With text marked as HTML made plain. */
    Arguments plain() {
        if (positional.isEmpty() && named.isEmpty()) {
            return this;
        }
        List<Object> items = new ArrayList<>(positional);
        items.replaceAll(Markup::plain);
        Map<String, Object> fields = new LinkedHashMap<>(named);
        fields.replaceAll((name, value) -> Markup.plain(value));
        return new Arguments(items, fields);
    }
}
