package org.qlora4j.task;

import org.jspecify.annotations.Nullable;
import org.qlora4j.template.TextTemplate;

/** Values as Python's {@code str} prints them. */
final class PythonValue {
    private static final TextTemplate PRINT = TextTemplate.of("{{ value }}", "value");

    private PythonValue() {}

    static String text(@Nullable Object value) {
        if (value instanceof String text) {
            return text;
        }
        java.util.Map<String, @Nullable Object> variables = new java.util.HashMap<>();
        variables.put("value", value);
        return PRINT.render(variables);
    }
}
