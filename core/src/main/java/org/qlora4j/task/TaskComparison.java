package org.qlora4j.task;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/**
 * Two models on the same tasks.
 *
 * @param differences by task (or group, over the documents of its tasks), then by metric and
 *     filter, such as {@code acc,none}
 */
public record TaskComparison(Map<String, Map<String, PairedDifference>> differences) {
    /**
     * Compares two runs of one suite.
     *
     * @param before of the first model
     * @param after of the second
     */
    public static TaskComparison of(TaskSuite suite, TaskResults before, TaskResults after) {
        Map<String, Map<String, PairedDifference>> out = new LinkedHashMap<>();
        before.values()
                .forEach((task, metrics) -> {
                    Map<String, PairedDifference> own = new LinkedHashMap<>();
                    metrics.forEach((key, values) ->
                            own.put(
                                    key,
                                    PairedDifference.of(
                                            suite.aggregation(task, key),
                                            values,
                                            values(after, task, key))));
                    out.put(task, own);
                });
        for (TaskGroup group : suite.groups().values()) {
            Map<String, PairedDifference> own = new LinkedHashMap<>();
            for (TaskGroup.Aggregate aggregate : group.aggregates()) {
                together(suite, group, aggregate, before, after, own);
            }
            if (!own.isEmpty()) {
                out.put(group.name(), own);
            }
        }
        return new TaskComparison(out);
    }

    /** All documents of a group's tasks, where its number weighs them alike. */
    private static void together(
            TaskSuite suite,
            TaskGroup group,
            TaskGroup.Aggregate aggregate,
            TaskResults before,
            TaskResults after,
            Map<String, PairedDifference> out) {
        Map<String, List<double[]>> first = new LinkedHashMap<>();
        Map<String, List<double[]>> second = new LinkedHashMap<>();
        for (String task : group.tasks()) {
            before.values()
                    .getOrDefault(task, Map.of())
                    .forEach((key, values) -> {
                        if (key.startsWith(aggregate.metric() + ",")
                                && suite.aggregation(task, key) == Aggregation.MEAN) {
                            first.computeIfAbsent(key, k -> new ArrayList<>()).addAll(values);
                            second.computeIfAbsent(key, k -> new ArrayList<>())
                                    .addAll(values(after, task, key));
                        }
                    });
        }
        first.forEach((key, values) ->
                out.put(
                        key,
                        PairedDifference.of(
                                Aggregation.MEAN, values, second.getOrDefault(key, List.of()))));
    }

    private static List<double[]> values(TaskResults results, String task, String key) {
        return results.values().getOrDefault(task, Map.of()).getOrDefault(key, List.of());
    }

    /** The object that {@code --json} prints. */
    public Map<String, Object> json() {
        Map<String, Object> results = new LinkedHashMap<>();
        differences.forEach((task, metrics) -> {
            Map<String, Object> own = new LinkedHashMap<>();
            metrics.forEach((key, difference) -> own.put(key, json(difference)));
            results.put(task, own);
        });
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("results", results);
        return json;
    }

    private static Map<String, Object> json(PairedDifference d) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("documents", d.documents());
        json.put("before", d.before());
        json.put("after", d.after());
        json.put("difference", d.difference());
        json.put("ci_low", d.low());
        json.put("ci_high", d.high());
        json.put("p_bootstrap", d.bootstrapP());
        put(json, "learnt", d.learnt());
        put(json, "forgotten", d.forgotten());
        put(json, "p_mcnemar", d.mcNemarP());
        put(json, "documents_needed", d.needed());
        return json;
    }

    private static void put(Map<String, Object> json, String key, OptionalDouble value) {
        value.ifPresent(number -> json.put(key, number));
    }

    private static void put(Map<String, Object> json, String key, OptionalInt value) {
        value.ifPresent(number -> json.put(key, number));
    }
}
