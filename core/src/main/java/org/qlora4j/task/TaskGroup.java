package org.qlora4j.task;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Tasks under one name, with numbers over all of them.
 *
 * @param name {@code group}
 * @param alias {@code group_alias}, else the name
 * @param tasks names of the tasks in it, those of inner groups too
 * @param aggregates {@code aggregate_metric_list}; empty for a group without numbers
 */
record TaskGroup(String name, String alias, List<String> tasks, List<Aggregate> aggregates) {
    /**
     * A number over the tasks.
     *
     * @param filters null for all that the tasks have
     * @param weightBySize whether a task counts by its documents; else all tasks count alike
     */
    record Aggregate(String metric, @Nullable List<String> filters, boolean weightBySize) {}

    /** The group's numbers, from those of its tasks by name. */
    Map<String, Object> metrics(Map<String, Map<String, Object>> results) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("alias", alias);
        if (aggregates.isEmpty()) {
            return out;
        }
        List<Map<String, Object>> own =
                tasks.stream().filter(results::containsKey).map(results::get).toList();
        out.put("sample_len", own.stream().mapToInt(TaskGroup::size).sum());
        for (Aggregate aggregate : aggregates) {
            List<String> filters = aggregate.filters();
            for (String filter : filters == null ? filtersOf(own, aggregate.metric()) : filters) {
                add(out, own, aggregate, filter);
            }
        }
        return out;
    }

    private static int size(Map<String, Object> result) {
        return result.get("sample_len") instanceof Integer n ? n : 0;
    }

    private static Set<String> filtersOf(List<Map<String, Object>> results, String metric) {
        Set<String> filters = new TreeSet<>();
        for (Map<String, Object> result : results) {
            for (String key : result.keySet()) {
                if (key.startsWith(metric + ",")) {
                    filters.add(key.substring(metric.length() + 1));
                }
            }
        }
        return filters;
    }

    private static void add(
            Map<String, Object> out,
            List<Map<String, Object>> results,
            Aggregate aggregate,
            String filter) {
        String key = aggregate.metric() + "," + filter;
        String errorKey = aggregate.metric() + "_stderr," + filter;
        List<double[]> parts = new ArrayList<>(); // value, standard error, size
        for (Map<String, Object> result : results) {
            if (result.get(key) instanceof Double value) {
                double error = result.get(errorKey) instanceof Double e ? e : Double.NaN;
                parts.add(new double[] {value, error, size(result)});
            }
        }
        if (parts.isEmpty()) {
            return;
        }
        double sum = 0;
        double sizes = 0;
        double variance = 0;
        double pooled = 0;
        for (double[] part : parts) {
            double weight = aggregate.weightBySize() ? part[2] : 1;
            sum += part[0] * weight;
            sizes += weight;
            variance += part[1] * part[1];
            pooled += (part[2] - 1) * part[1] * part[1] * part[2];
        }
        out.put(key, sum / sizes);
        double error =
                aggregate.weightBySize()
                        ? Math.sqrt(pooled / (sizes - parts.size()) / sizes)
                        : Math.sqrt(variance) / parts.size();
        out.put(errorKey, Double.isNaN(error) ? TaskResults.NOT_AVAILABLE : (Object) error);
    }
}
