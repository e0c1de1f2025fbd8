package org.qlora4j.template;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The one value that a template can change: {@code namespace(a=1)}, then {@code {% set ns.a = 2
 * %}}.
 */
final class Namespace {
    private final Map<String, Object> fields = new LinkedHashMap<>();

    Map<String, Object> fields() {
        return fields;
    }

    /** Sets a field; names with an underscore in front are refused, as transformers does. */
    void set(String name, Object value) {
        if (name.startsWith("_")) {
            throw TemplateError.of(
                    TemplateError.Kind.SECURITY,
                    "Chat templates cannot store underscore-prefixed attributes on a namespace, but got %s. Please"
                            + " rename the attribute.",
                    Printer.quote(name));
        }
        fields.put(name, value);
    }
}
