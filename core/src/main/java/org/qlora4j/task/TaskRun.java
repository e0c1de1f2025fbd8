package org.qlora4j.task;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;
import org.qlora4j.task.TaskConfig.Metric;

/** Asks a model all tasks of a suite together, and counts. */
public final class TaskRun {
    private final TaskSuite suite;
    private final @Nullable TaskLog log;
    private final IntConsumer progress;
    private final List<Asked> asked = new ArrayList<>();
    private final Map<String, Map<String, List<double[]>>> valuesByTask = new LinkedHashMap<>();

    /** A document with what was asked of it and what has been answered. */
    private static final class Asked {
        final Task task;
        final int number;
        final Map<String, Object> document;
        final List<TaskRequest> requests;
        final List<@Nullable TaskResponse> responses = new ArrayList<>();
        final Map<String, Map<String, double[]>> counts = new LinkedHashMap<>(); // by filter
        int missing;

        Asked(Task task, int number, List<TaskRequest> requests) {
            this.task = task;
            this.number = number;
            this.document = task.evaluated().get(number);
            this.requests = requests;
            this.missing = requests.size();
            requests.forEach(request -> responses.add(null));
        }
    }

    private TaskRun(TaskSuite suite, @Nullable TaskLog log, IntConsumer progress) {
        this.suite = suite;
        this.log = log;
        this.progress = progress;
    }

    /**
     * Runs a suite. On the engine thread, if the model needs it.
     *
     * @param log takes each document as it is answered, and gives those answered before; null for
     *     none
     * @param progress is told how many documents are answered
     */
    public static TaskResults run(
            TaskSuite suite, TaskModel model, @Nullable TaskLog log, IntConsumer progress) {
        TaskRun run = new TaskRun(suite, log, progress);
        run.ask(model);
        return run.results();
    }

    private void ask(TaskModel model) {
        for (Task task : suite.tasks().values()) {
            List<List<TaskRequest>> requests = task.requests(suite.options(), model);
            for (int i = 0; i < requests.size(); i++) {
                asked.add(new Asked(task, i, requests.get(i)));
            }
        }
        List<TaskRequest> open = new ArrayList<>();
        List<Asked> owners = new ArrayList<>();
        List<Integer> places = new ArrayList<>();
        int[] answered = {0};
        for (Asked one : asked) {
            List<TaskResponse> before =
                    log == null
                            ? List.of()
                            : log.before(one.task.config().name(), one.number, one.requests);
            if (!before.isEmpty()) {
                for (int i = 0; i < before.size(); i++) {
                    one.responses.set(i, before.get(i));
                }
                count(one);
                answered[0]++;
                continue;
            }
            for (int i = 0; i < one.requests.size(); i++) {
                open.add(one.requests.get(i));
                owners.add(one);
                places.add(i);
            }
        }
        progress.accept(answered[0]);
        model.answer(
                open,
                (index, response) -> {
                    Asked one = owners.get(index);
                    one.responses.set(places.get(index), response);
                    if (--one.missing == 0) {
                        count(one);
                        if (log != null) {
                            log.add(entry(one));
                        }
                        progress.accept(++answered[0]);
                    }
                });
        if (log != null) {
            log.finish(asked.stream().map(TaskRun::entry).toList());
        }
    }

    private static TaskLog.Entry entry(Asked one) {
        List<TaskResponse> responses = new ArrayList<>();
        for (TaskResponse response : one.responses) {
            if (response == null) {
                throw new IllegalStateException("a request was not answered");
            }
            responses.add(response);
        }
        return new TaskLog.Entry(
                one.task, one.number, one.document, one.requests, responses, one.counts);
    }

    /** What the answers count, for each chain of filters. */
    private static void count(Asked one) {
        TaskCounts counts = new TaskCounts(one.task);
        List<TaskResponse> responses = entry(one).responses();
        for (FilterChain chain : one.task.config().filters()) {
            one.counts.put(
                    chain.name(),
                    counts.of(one.document, filtered(chain, responses, one.document)));
        }
    }

    /** Answers to the same request, which are repeats, pass a chain together. */
    static List<Object> filtered(
            FilterChain chain, List<TaskResponse> responses, Map<String, Object> document) {
        if (responses.getFirst() instanceof TaskResponse.Generated) {
            List<Object> texts = new ArrayList<>();
            for (TaskResponse response : responses) {
                texts.add(response instanceof TaskResponse.Generated(String text) ? text : "");
            }
            return List.of(chain.apply(texts, document));
        }
        return responses.stream().map(r -> chain.apply(List.of(r), document)).toList();
    }

    private TaskResults results() {
        Map<String, Map<String, Object>> results = new LinkedHashMap<>();
        Map<String, Integer> shots = new LinkedHashMap<>();
        Map<String, Map<String, Integer>> documents = new LinkedHashMap<>();
        Map<String, Map<String, Boolean>> higher = new LinkedHashMap<>();
        for (Task task : suite.tasks().values()) {
            String name = task.config().name();
            List<Asked> own = asked.stream().filter(one -> one.task == task).toList();
            results.put(name, metrics(task, own));
            shots.put(name, task.numFewshot());
            documents.put(
                    name, Map.of("original", task.evaluated().size(), "effective", own.size()));
            Map<String, Boolean> directions = new LinkedHashMap<>();
            task.config().metrics().forEach(m -> directions.put(m.name(), m.higherIsBetter()));
            higher.put(name, directions);
        }
        Map<String, Map<String, Object>> groups = new LinkedHashMap<>();
        suite.groups()
                .forEach((name, group) -> {
                    Map<String, Object> metrics = group.metrics(results);
                    groups.put(name, metrics);
                });
        results.putAll(groups);
        return new TaskResults(
                results, groups, shots, documents, higher, suite.versions(), valuesByTask);
    }

    private Map<String, Object> metrics(Task task, List<Asked> own) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("alias", task.config().alias());
        out.put("sample_len", own.size());
        for (FilterChain chain : task.config().filters()) {
            for (Metric metric : task.config().metrics()) {
                List<double[]> values = new ArrayList<>();
                for (Asked one : own) {
                    double[] value =
                            one.counts.getOrDefault(chain.name(), Map.of()).get(metric.name());
                    if (value != null) {
                        values.add(value);
                    }
                }
                if (values.isEmpty()) {
                    continue;
                }
                valuesByTask
                        .computeIfAbsent(task.config().name(), name -> new LinkedHashMap<>())
                        .put(metric.name() + "," + chain.name(), values);
                OptionalDouble error =
                        StandardError.of(
                                metric.aggregation(),
                                values,
                                suite.options().bootstrapIterations());
                out.put(metric.name() + "," + chain.name(), metric.aggregation().of(values));
                out.put(
                        metric.name() + "_stderr," + chain.name(),
                        error.isPresent()
                                ? (Object) error.getAsDouble()
                                : TaskResults.NOT_AVAILABLE);
            }
        }
        return out;
    }
}
