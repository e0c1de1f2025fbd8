package org.qlora4j.report;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.qlora4j.config.RunConfig;
import tools.jackson.databind.JsonNode;

/**
 * A run as one page of HTML that needs nothing beside it: figures, curves, evaluations, samples,
 * settings, environment.
 */
final class HtmlReport {
    private final StringBuilder out = new StringBuilder();
    private final RunSummary run;
    private final RunHistory history;

    private HtmlReport(RunSummary run) {
        this.run = run;
        this.history = run.history();
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
                                .formatted(name, css()))
                .append("<h1>%s</h1>\n".formatted(name));
        about();
        figures();
        curves();
        evaluations();
        samples();
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
            figures.put("steps", "%,d".formatted(last.path("step").asLong()));
            figures.put("epochs", number("%.2f", last.path("epoch").asDouble()));
            figures.put(
                    "first loss",
                    number("%.4f", history.steps().getFirst().path("loss").asDouble()));
            figures.put("last loss", number("%.4f", last.path("loss").asDouble()));
        }
        run.best()
                .ifPresent(best -> {
                    figures.put(
                            "best held-out loss, step " + best.path("step").asLong(),
                            number("%.4f", best.path("eval_loss").asDouble()));
                    figures.put(
                            "its perplexity",
                            number("%.2f", best.path("eval_perplexity").asDouble()));
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
        if (charts.stream().allMatch(Chart::isEmpty)) {
            out.append("<p>No step is logged yet.</p>\n");
            return;
        }
        out.append("<div class=\"charts\">\n");
        charts.stream()
                .filter(chart -> !chart.isEmpty())
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
        long best = run.best().map(b -> b.path("step").asLong()).orElse(-1L);
        for (JsonNode line : history.evaluations()) {
            long step = line.path("step").asLong();
            out.append(step == best ? "<tr class=\"best\">" : "<tr>");
            cell("%,d".formatted(step));
            cell(number("%.2f", line.path("epoch").asDouble()));
            cell(number("%.4f", line.path("eval_loss").asDouble()));
            cell(number("%.3f", line.path("eval_perplexity").asDouble()));
            cell(number("%.1f", line.path("eval_runtime").asDouble()));
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
                    sample("step " + line.path("step").asLong(), line.path("answer").asString("")));
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

    private static String css() {
        try (InputStream in =
                Objects.requireNonNull(HtmlReport.class.getResourceAsStream("report.css"))) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new IllegalStateException("report.css stands in the jar", e);
        }
    }
}
