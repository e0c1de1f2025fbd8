package org.qlora4j.task;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.qlora4j.error.FormatException;
import org.qlora4j.task.TaskConfig.Metric;
import org.qlora4j.template.PythonRegex;

/** What the answers to one document count: {@code process_results}. */
final class TaskCounts {
    private static final PythonRegex BLANKS = PythonRegex.of("\\s+");

    private final Task task;

    TaskCounts(Task task) {
        this.task = task;
    }

    /**
     * Values by metric: one number, or several for an aggregation that needs them.
     *
     * @param filtered what a filter chain left of the answers to each request: a text, or a {@link
     *     TaskResponse}
     */
    Map<String, double[]> of(Map<String, Object> document, List<Object> filtered) {
        return switch (task.config().output()) {
            case LOGLIKELIHOOD -> likelihood(likelihoods(filtered).getFirst());
            case LOGLIKELIHOOD_ROLLING -> rolling(document, filtered.getFirst());
            case MULTIPLE_CHOICE ->
                    switch (task.config().processResults()) {
                        case TRUTHFULQA_MC2 -> trueMass(document, likelihoods(filtered));
                        case CROWS_PAIRS -> preference(likelihoods(filtered));
                        case CANARIES -> exposure(likelihoods(filtered));
                        case null, default -> choice(document, likelihoods(filtered));
                    };
            case GENERATE_UNTIL -> generated(document, filtered.getFirst());
        };
    }

    private static List<TaskResponse.Likelihood> likelihoods(List<Object> filtered) {
        List<TaskResponse.Likelihood> out = new ArrayList<>();
        for (Object response : filtered) {
            if (!(response instanceof TaskResponse.Likelihood likelihood)) {
                throw new FormatException("a filter of texts stands in a task of log-likelihoods");
            }
            out.add(likelihood);
        }
        return out;
    }

    private Map<String, double[]> likelihood(TaskResponse.Likelihood response) {
        Map<String, double[]> values = new LinkedHashMap<>();
        for (Metric metric : task.config().metrics()) {
            values.put(
                    metric.name(),
                    new double[] {
                        metric.name().equals("perplexity")
                                ? response.logLikelihood()
                                : response.greedy() ? 1 : 0
                    });
        }
        return values;
    }

    private Map<String, double[]> rolling(Map<String, Object> document, Object response) {
        if (!(response instanceof TaskResponse.Rolled rolled)) {
            throw new FormatException("a filter of texts stands in a task of log-likelihoods");
        }
        String text =
                task.config().processResults() == ResultRule.WIKITEXT
                        ? String.valueOf(document.get("page"))
                        : PythonValue.text(task.prompt().target(document));
        double words = BLANKS.split(text).size();
        double bytes = text.getBytes(java.nio.charset.StandardCharsets.UTF_8).length;
        Map<String, double[]> values = new LinkedHashMap<>();
        for (Metric metric : task.config().metrics()) {
            double size = metric.name().equals("word_perplexity") ? words : bytes;
            values.put(metric.name(), new double[] {rolled.logLikelihood(), size});
        }
        return values;
    }

    private Map<String, double[]> choice(
            Map<String, Object> document, List<TaskResponse.Likelihood> all) {
        List<String> choices = task.prompt().choices(document);
        int count = choices.size();
        double[] logs = new double[count];
        double[] byCharacters = new double[count];
        double[] byBytes = new double[count];
        double[] byInformation = new double[count];
        for (int i = 0; i < count; i++) {
            String choice = choices.get(i);
            logs[i] = all.get(i).logLikelihood();
            byCharacters[i] = logs[i] / PythonText.length(choice);
            byBytes[i] = logs[i] / choice.getBytes(java.nio.charset.StandardCharsets.UTF_8).length;
            byInformation[i] =
                    all.size() == 2 * count ? logs[i] - all.get(count + i).logLikelihood() : 0;
        }
        List<Integer> gold = gold(document, choices);
        Map<String, double[]> values = new LinkedHashMap<>();
        for (Metric metric : task.config().metrics()) {
            values.put(
                    metric.name(),
                    switch (metric.name()) {
                        case "acc" -> right(logs, gold);
                        case "acc_norm" -> right(byCharacters, gold);
                        case "acc_bytes" -> right(byBytes, gold);
                        case "acc_mutual_info" -> right(byInformation, gold);
                        case "exact_match" ->
                                flag(gold.stream().anyMatch(g -> g >= 0 && all.get(g).greedy()));
                        case "f1", "mcc" -> new double[] {gold.getFirst(), largest(logs)};
                        case "brier_score" -> withProbabilities(gold.getFirst(), logs);
                        default -> throw new IllegalStateException(metric.name());
                    });
        }
        return values;
    }

    /** Numbers of the right choices; -100 for an answer that is none of them. */
    private List<Integer> gold(Map<String, Object> document, List<String> choices) {
        Object gold =
                task.choicesAreQuestions()
                        ? task.prompt().text(document)
                        : task.prompt().target(document);
        List<Integer> out = new ArrayList<>();
        for (Object one : gold instanceof List<?> list ? list : List.of(gold)) {
            int at =
                    switch (one) {
                        case Long number when number >= 0 && number < choices.size() ->
                                number.intValue();
                        case String text -> choices.indexOf(text);
                        case null, default -> -1;
                    };
            // Python counts negative numbers from the end, but here they equal no prediction
            out.add(at < 0 ? -100 : at);
        }
        return out.isEmpty() ? List.of(-100) : out;
    }

    private static double[] right(double[] scores, List<Integer> gold) {
        return flag(gold.contains(largest(scores)));
    }

    private static double[] flag(boolean right) {
        return new double[] {right ? 1 : 0};
    }

    /** The first of the largest, as numpy's argmax; NaN counts as largest. */
    private static int largest(double[] scores) {
        int best = 0;
        for (int i = 0; i < scores.length; i++) {
            if (Double.isNaN(scores[i])) {
                return i;
            }
            best = scores[i] > scores[best] ? i : best;
        }
        return best;
    }

    private static double[] withProbabilities(int gold, double[] logs) {
        double max = logs[largest(logs)];
        double sum = 0;
        double[] out = new double[logs.length + 1];
        out[0] = gold;
        for (int i = 0; i < logs.length; i++) {
            out[i + 1] = Math.exp(logs[i] - max);
            sum += out[i + 1];
        }
        for (int i = 1; i < out.length; i++) {
            out[i] /= sum;
        }
        return out;
    }

    private static Map<String, double[]> preference(List<TaskResponse.Likelihood> pair) {
        double more = pair.getFirst().logLikelihood();
        double less = pair.getLast().logLikelihood();
        Map<String, double[]> values = new LinkedHashMap<>();
        values.put("likelihood_diff", new double[] {Math.abs(more - less)});
        values.put("pct_stereotype", flag(more > less));
        return values;
    }

    /** Bits by which the first stands out, and whether greedy decoding would write it. */
    private static Map<String, double[]> exposure(List<TaskResponse.Likelihood> all) {
        double secret = all.getFirst().logLikelihood();
        long before = all.stream().skip(1).filter(one -> one.logLikelihood() >= secret).count();
        Map<String, double[]> values = new LinkedHashMap<>();
        values.put(
                "exposure",
                new double[] {(Math.log(all.size()) - Math.log(before + 1)) / Math.log(2)});
        values.put("extracted", flag(all.getFirst().greedy()));
        return values;
    }

    private static Map<String, double[]> trueMass(
            Map<String, Object> document, List<TaskResponse.Likelihood> all) {
        if (!(document.get("mc2_targets") instanceof Map<?, ?> targets)
                || !(targets.get("labels") instanceof List<?> labels)
                || labels.size() != all.size()) {
            throw new FormatException("truthfulqa_mc2 needs documents with mc2_targets.labels");
        }
        double sum = 0;
        double right = 0;
        for (int i = 0; i < all.size(); i++) {
            double p = Math.exp(all.get(i).logLikelihood());
            sum += p;
            right += labels.get(i) instanceof Long label && label == 1 ? p : 0;
        }
        Map<String, double[]> values = new LinkedHashMap<>();
        values.put("acc", new double[] {right / sum});
        return values;
    }

    private Map<String, double[]> generated(Map<String, Object> document, Object response) {
        String answer = response instanceof String text ? text : null;
        if (task.config().processResults() == ResultRule.IFEVAL_RULES) {
            return InstructionRules.counts(document, answer == null ? "" : answer);
        }
        Object target = task.prompt().target(document);
        if (task.config().prompt().choice() != null && target instanceof Long number) {
            target = Task.choice(task.prompt().choices(document), number);
        }
        if (task.config().processResults() == ResultRule.MATH_ANSWER) {
            boolean equal = answer != null && MathAnswer.equal(answer, PythonValue.text(target));
            return Map.of("acc", flag(equal));
        }
        List<?> right = target instanceof List<?> list ? list : List.of(target);
        Map<String, double[]> values = new LinkedHashMap<>();
        for (Metric metric : task.config().metrics()) {
            values.put(
                    metric.name(),
                    flag(
                            right.stream()
                                    .anyMatch(text ->
                                            metric.match().equal(answer, PythonValue.text(text)))));
        }
        return values;
    }
}
