package org.qlora4j.task;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a run of tasks found.
 *
 * @param results by task and group: {@code acc,none}, {@code acc_stderr,none} and so on, as the
 *     harness names them; values are Double, Integer or String
 * @param groups the part of them that belongs to groups
 * @param shots examples before each document, by task
 * @param documents documents of each task, and how many of them were asked
 * @param higherIsBetter by task and metric
 * @param versions by task
 * @param values of each document by task, then by metric and filter, in the order of the documents
 */
public record TaskResults(
        Map<String, Map<String, Object>> results,
        Map<String, Map<String, Object>> groups,
        Map<String, Integer> shots,
        Map<String, Map<String, Integer>> documents,
        Map<String, Map<String, Boolean>> higherIsBetter,
        Map<String, Object> versions,
        Map<String, Map<String, List<double[]>>> values) {
    /** In place of a standard error that nobody knows. */
    static final String NOT_AVAILABLE = "N/A";

    public TaskResults {
        results = Collections.unmodifiableMap(results);
    }

    /** The object that {@code --json} prints. */
    public Map<String, Object> json() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("results", results);
        if (!groups.isEmpty()) {
            json.put("groups", groups);
        }
        json.put("n-shot", shots);
        json.put("n-samples", documents);
        json.put("higher_is_better", higherIsBetter);
        json.put("versions", versions);
        return json;
    }
}
