package org.qlora4j.task;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Filters that an answer passes before it is counted; each task has one at least.
 *
 * @param name under which the counts are reported
 */
record FilterChain(String name, List<ResponseFilter> filters) {
    /** Where a task names none: the first answer as it is. */
    static final FilterChain NONE =
            new FilterChain("none", List.of(new ResponseFilter.TakeFirst()));

    /** What a filter makes of an answer that its table does not have; no text equals it. */
    static final Object NOTHING =
            new Object() {
                @Override
                public String toString() {
                    return "None";
                }
            };

    /**
     * What is left of the answers to one request.
     *
     * @param responses texts, or what else the model gave, one for each repeat
     * @param document that was asked
     */
    Object apply(List<Object> responses, Map<String, Object> document) {
        Object value = responses;
        for (ResponseFilter filter : filters) {
            if (!(value instanceof List<?> list)) {
                throw new IllegalStateException(name + ": " + filter + " stands behind take_first");
            }
            value = filter.apply(List.copyOf(list), document);
        }
        return value;
    }

    /** The answer most often given; of several the one given first. */
    static Object mostCommon(List<Object> values) {
        Map<Object, Integer> counts = new LinkedHashMap<>();
        values.forEach(value -> counts.merge(value, 1, Integer::sum));
        return counts.entrySet().stream()
                .reduce((a, b) -> b.getValue() > a.getValue() ? b : a)
                .orElseThrow()
                .getKey();
    }
}
