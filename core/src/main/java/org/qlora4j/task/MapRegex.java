package org.qlora4j.task;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.qlora4j.template.PythonRegex;

/** The value of the expression that an answer matches. */
final class MapRegex implements ResponseFilter {
    private final PythonRegex any;
    private final Map<PythonRegex, String> values = new LinkedHashMap<>();
    private final int group;
    private final String fallback;
    private final PlainText plain;

    /**
     * @param values by expression
     * @param group which of the matches of any of them; negative from the end
     * @param fallback where there is none
     */
    MapRegex(Map<String, String> values, int group, String fallback, PlainText plain) {
        this.any = PythonRegex.of(String.join("|", values.keySet()));
        values.forEach((regex, value) -> this.values.put(PythonRegex.of(regex), value));
        this.group = group;
        this.fallback = fallback;
        this.plain = plain;
    }

    @Override
    public Object apply(List<Object> responses, Map<String, Object> document) {
        return ResponseFilter.each(responses, this::value);
    }

    private String value(String answer) {
        String found = ResponseFilter.match(any, group, plain.of(answer));
        if (found == null || found.isEmpty()) {
            return fallback;
        }
        for (Map.Entry<PythonRegex, String> entry : values.entrySet()) {
            // the place counts here too, as in the harness
            String again = ResponseFilter.match(entry.getKey(), group, plain.of(found));
            if (again != null && !again.isEmpty()) {
                return entry.getValue();
            }
        }
        return fallback;
    }
}
