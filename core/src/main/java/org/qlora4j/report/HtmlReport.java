package org.qlora4j.report;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.qlora4j.config.RunConfig;
import org.qlora4j.run.RunFolder;
import tools.jackson.databind.JsonNode;

/**
 * A run as one page of HTML that needs nothing beside it: figures, curves, samples, answers to
 * held-out examples, evaluations, settings, environment.
 */
final class HtmlReport {
    /** Answers shown of each kind. */
    private static final int ANSWERS_SHOWN = 8;

    /** Keys of predictions, and what stands above them. */
    private static final Map<String, String> ANSWER_COLUMNS = answerColumns();

    private final StringBuilder out = new StringBuilder();
    private final RunSummary run;
    private final RunHistory history;

    private HtmlReport(RunSummary run) {
        this.run = run;
        this.history = run.history();
    }

    private static Map<String, String> answerColumns() {
        Map<String, String> columns = new LinkedHashMap<>();
        columns.put("prompt", "message");
        columns.put("expected", "expected");
        columns.put("answer", "answer");
        columns.put("base", "base model");
        return columns;
    }

    static String of(RunSummary run) {
        return new HtmlReport(run).page();
    }

    private String page() {
        String name = Html.escape(String.valueOf(run.folder().getFileName()));
        out.append("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
                .append(
                        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
                .append(
                        "<title>%s - qlora4j</title>\n<style>\n%s</style>\n</head>\n<body>\n"
                                .formatted(name, Html.resource("report.css")))
                .append("<h1>%s</h1>\n".formatted(name));
        about();
        figures();
        boolean isBeside = !history.samples().isEmpty();
        out.append(isBeside ? "<div class=\"beside\"><div>\n" : "");
        curves();
        out.append(isBeside ? "</div><div>\n" : "");
        samples();
        out.append(isBeside ? "</div></div>\n" : "");
        answers();
        evaluations();
        settings();
        environment();
        return out.append(
                        "<footer>Written by qlora4j from config.yaml, metrics.jsonl and the newest checkpoint of ")
                .append(Html.escape(run.folder().toString()))
                .append("</footer>\n</body>\n</html>\n")
                .toString();
    }

    private void about() {
        RunConfig config = run.config();
        out.append(
                "<p class=\"about\">%s on %s</p>\n"
                        .formatted(
                                Html.escape(lastName(config.model().modelNameOrPath())),
                                Html.escape(lastName(config.data().dataset().toString()))));
    }

    private static String lastName(String path) {
        Path name = Path.of(path).getFileName();
        return name == null ? path : name.toString();
    }

    private void figures() {
        Map<String, String> figures = new LinkedHashMap<>();
        JsonNode last = history.steps().isEmpty() ? null : history.steps().getLast();
        if (last != null) {
            figures.put("steps", "%,d".formatted(last.path("step").asLong(0)));
            figures.put("epochs", number("%.2f", last.path("epoch").asDouble(Double.NaN)));
            figures.put(
                    "first loss",
                    number("%.4f", history.steps().getFirst().path("loss").asDouble(Double.NaN)));
            figures.put("last loss", number("%.4f", last.path("loss").asDouble(Double.NaN)));
        }
        run.best()
                .ifPresent(best -> {
                    figures.put(
                            "best held-out loss, step " + best.path("step").asLong(0),
                            number("%.4f", best.path("eval_loss").asDouble(Double.NaN)));
                    figures.put(
                            "its perplexity",
                            number("%.2f", best.path("eval_perplexity").asDouble(Double.NaN)));
                });
        double speed =
                history.ofSteps("tokens_per_second").stream()
                        .mapToDouble(Chart.Point::value)
                        .filter(Double::isFinite)
                        .sorted()
                        .skip(history.steps().size() / 2)
                        .findFirst()
                        .orElse(Double.NaN);
        if (Double.isFinite(speed)) {
            figures.put("tokens per second (median)", number("%,.0f", speed));
        }
        if (!history.predictions().isEmpty()) {
            figures.put(
                    "held-out answers right",
                    "%,d of %,d".formatted(predictions(true).size(), history.predictions().size()));
        }
        figures.putAll(run.figures());
        out.append("<div class=\"figures\">\n");
        figures.forEach((name, value) ->
                out.append(
                        "<div><b>%s</b><span>%s</span></div>\n"
                                .formatted(Html.escape(value), Html.escape(name))));
        out.append("</div>\n");
    }

    private void curves() {
        List<Chart> charts =
                List.of(
                        RunCharts.loss(history),
                        RunCharts.learningRate(history),
                        RunCharts.gradientNorm(history),
                        RunCharts.speed(history));
        heading("Curves");
        if (charts.stream().noneMatch(Chart::isWorthSeeing)) {
            out.append("<p>Nothing that is logged has changed yet.</p>\n");
            return;
        }
        out.append("<div class=\"charts\">\n");
        charts.stream()
                .filter(Chart::isWorthSeeing)
                .forEach(chart -> out.append(SvgChart.of(chart)));
        out.append("</div>\n");
    }

    private void evaluations() {
        if (history.evaluations().isEmpty()) {
            return;
        }
        heading("Held-out examples");
        out.append(
                        "<div class=\"scroll narrow\"><table>\n<tr><th class=\"number\">step</th><th class=\"number\">epoch</th>")
                .append(
                        "<th class=\"number\">loss</th><th class=\"number\">perplexity</th><th class=\"number\">seconds</th></tr>\n");
        long best = run.best().map(b -> b.path("step").asLong(0)).orElse(-1L);
        for (JsonNode line : history.evaluations()) {
            long step = line.path("step").asLong(0);
            out.append(step == best ? "<tr class=\"best\">" : "<tr>");
            cell("%,d".formatted(step));
            cell(number("%.2f", line.path("epoch").asDouble(Double.NaN)));
            cell(number("%.4f", line.path("eval_loss").asDouble(Double.NaN)));
            cell(number("%.3f", line.path("eval_perplexity").asDouble(Double.NaN)));
            cell(number("%.1f", line.path("eval_runtime").asDouble(Double.NaN)));
            out.append("</tr>\n");
        }
        out.append("</table></div>\n");
    }

    private void cell(String number) {
        out.append("<td class=\"number\">").append(number).append("</td>");
    }

    /** Answers by prompt, as the run went on. */
    private void samples() {
        if (history.samples().isEmpty()) {
            return;
        }
        heading("Samples");
        Map<String, StringBuilder> byPrompt = new LinkedHashMap<>();
        for (JsonNode line : history.samples()) {
            StringBuilder rows =
                    byPrompt.computeIfAbsent(
                            line.path("prompt").asString(""), prompt -> new StringBuilder());
            if (line.path("base").isString()) {
                rows.insert(0, sample("base model", line.path("base").asString("")));
            }
            rows.append(
                    sample(
                            "step " + line.path("step").asLong(0),
                            line.path("answer").asString("")));
        }
        byPrompt.forEach((prompt, rows) ->
                out.append(
                        "<h3>%s</h3>\n<div class=\"scroll\"><table>\n%s</table></div>\n"
                                .formatted(Html.escape(prompt), rows)));
    }

    private static String sample(String when, String answer) {
        return "<tr><td class=\"key\">%s</td><td class=\"text\">%s</td></tr>\n"
                .formatted(Html.escape(when), Html.escape(answer));
    }

    /** Answers to held-out examples: those that are wrong before some that are right. */
    private void answers() {
        List<JsonNode> all = history.predictions();
        if (all.isEmpty()) {
            return;
        }
        heading("Held-out answers");
        List<JsonNode> right = predictions(true);
        long before = all.stream().filter(line -> isTrue(line, "base_exact_match")).count();
        out.append(
                "<p>%,d of %,d are right to the letter, before the run %,d. All stand in %s.</p>\n"
                        .formatted(
                                right.size(),
                                all.size(),
                                before,
                                new RunFolder(run.folder()).predictionsFile().getFileName()));
        answers("Wrong", predictions(false));
        answers("Right", right);
    }

    private List<JsonNode> predictions(boolean right) {
        return history.predictions().stream()
                .filter(line -> isTrue(line, "exact_match") == right)
                .toList();
    }

    private static boolean isTrue(JsonNode line, String key) {
        return line.path(key).asBoolean(false);
    }

    private void answers(String what, List<JsonNode> lines) {
        if (lines.isEmpty()) {
            return;
        }
        int shown = Math.min(lines.size(), ANSWERS_SHOWN);
        out.append(
                "<h3>%s%s</h3>\n<div class=\"scroll\"><table>\n<tr>"
                        .formatted(
                                what,
                                shown < lines.size()
                                        ? ", the first %d of %,d".formatted(shown, lines.size())
                                        : ""));
        ANSWER_COLUMNS.forEach((key, name) -> out.append("<th>%s</th>".formatted(name)));
        out.append("</tr>\n");
        for (JsonNode line : lines.subList(0, shown)) {
            out.append("<tr>");
            ANSWER_COLUMNS.forEach((key, name) ->
                    out.append("<td class=\"text\">")
                            .append(Html.escape(line.path(key).asString("")))
                            .append("</td>"));
            out.append("</tr>\n");
        }
        out.append("</table></div>\n");
    }

    private void settings() {
        heading("Settings");
        table(run.changedSettings());
        out.append(
                "<details><summary>All settings (config.yaml)</summary>\n<pre>%s</pre></details>\n"
                        .formatted(Html.escape(run.yaml())));
    }

    private void environment() {
        Map<String, String> environment = run.environment();
        if (!environment.isEmpty()) {
            heading("Memory and environment");
            table(environment);
        }
    }

    private void table(Map<String, String> rows) {
        out.append("<div class=\"scroll\"><table>\n");
        rows.forEach((key, value) ->
                out.append(
                        "<tr><td class=\"key\">%s</td><td class=\"value\">%s</td></tr>\n"
                                .formatted(Html.escape(key), Html.escape(value))));
        out.append("</table></div>\n");
    }

    private void heading(String text) {
        out.append("<h2>%s</h2>\n".formatted(text));
    }

    private static String number(String format, double value) {
        return Double.isFinite(value) ? String.format(Locale.ROOT, format, value) : "-";
    }
}
