package org.qlora4j.eval;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.BiFunction;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.JsonNumber;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Shown;
import tools.jackson.databind.JsonNode;

/**
 * All that ratings say, in tables and one plot.
 *
 * @param tables in the order they are shown
 * @param strengths Bradley-Terry ratings, the best first
 */
public record EvalReport(List<ReportTable> tables, Map<String, BradleyTerry> strengths) {
    private static final String STYLE =
            """
            :root { color-scheme: light dark; --ink: #1d2733; --soft: #5c6773; --line: #d5dbe1; --mark: #0b62a8; --page: #fff; }
            @media (prefers-color-scheme: dark) {
              :root { --ink: #e4e9ee; --soft: #a0abb6; --line: #3a444e; --mark: #6db6f2; --page: #14191e; }
            }
            body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 56rem;
              margin: 0 auto; padding: 1rem; }
            h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } p { color: var(--soft); }
            .wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
            th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
            th:first-child, td:first-child { text-align: left; padding-left: 0; }
            svg { width: 100%; height: auto; } svg text { font-size: 13px; fill: var(--soft); }
            .grid { stroke: var(--line); } .bar { stroke: var(--mark); stroke-width: 3; } circle { fill: var(--mark); }
            """;

    /**
     * Works all of it out.
     *
     * @param orders random orders for Elo
     * @param seed of all draws
     * @param lengthOf characters of a system's answer to a question, for rates at equal length;
     *     null where no answers are at hand
     */
    public static EvalReport of(
            Ratings ratings,
            int orders,
            long seed,
            @Nullable BiFunction<String, String, OptionalInt> lengthOf) {
        List<Judgment> judgments = ratings.judgments();
        Map<String, BradleyTerry> strengths =
                BradleyTerry.of(judgments, BradleyTerry.RESAMPLES, seed);
        List<ReportTable> tables = new ArrayList<>();
        tables.add(strengths(strengths, judgments.size(), seed));
        tables.add(elo(judgments, orders, seed));
        if (!ratings.scores().isEmpty()) {
            tables.add(relative(ratings));
        }
        tables.add(matrix(WinMatrix.of(judgments)));
        if (lengthOf != null) {
            tables.add(lengths(LengthControl.of(judgments, lengthOf)));
        }
        tables.add(bias(JudgeBias.of(judgments)));
        return new EvalReport(List.copyOf(tables), strengths);
    }

    private static ReportTable strengths(
            Map<String, BradleyTerry> strengths, int judgments, long seed) {
        List<List<String>> rows = new ArrayList<>();
        strengths.forEach((name, s) ->
                rows.add(
                        List.of(
                                name,
                                number("%.1f", s.rating()),
                                number("%.1f to ", s.interval().low())
                                        + number("%.1f", s.interval().high()),
                                number("%.0f to ", s.rank().low())
                                        + number("%.0f", s.rank().high()))));
        return new ReportTable(
                "Bradley-Terry",
                "Maximum likelihood over %d judgments, ties included, on Elo's scale; 95%% intervals over %d draws of questions, seed %d."
                        .formatted(judgments, BradleyTerry.RESAMPLES, seed),
                List.of("system", "rating", "95% interval", "rank"),
                rows);
    }

    private static ReportTable elo(List<Judgment> judgments, int orders, long seed) {
        Map<String, Elo> history = Elo.of(judgments, EloProcedure.HISTORY, orders, seed);
        Map<String, Elo> last = Elo.of(judgments, EloProcedure.FINAL, orders, seed);
        List<List<String>> rows = new ArrayList<>();
        history.forEach((name, h) -> {
            Elo f = last.getOrDefault(name, h);
            rows.add(
                    List.of(
                            name,
                            number("%.1f", h.rating()),
                            number("%.2f", h.halfWidth()),
                            number("%.1f", f.rating()),
                            number("%.2f", f.halfWidth()),
                            String.valueOf(h.matches())));
        });
        return new ReportTable(
                "Elo",
                "Mean over %d random orders, seed %d; +- is the 95%% interval of that mean, not of the judgments. History: the paper's Table 1; final: its Table 7."
                        .formatted(orders, seed),
                List.of("system", "history", "+-", "final", "+- ", "judgments"),
                rows);
    }

    private static ReportTable relative(Ratings ratings) {
        List<List<String>> rows = new ArrayList<>();
        RelativeScore.bySystem(ratings.scores())
                .forEach((name, s) ->
                        rows.add(
                                List.of(
                                        name,
                                        number("%.1f", s.referenceFirst()),
                                        number("%.1f", s.systemFirst()),
                                        number("%.1f", s.mean()),
                                        number("%.1f", s.halfWidth()))));
        return new ReportTable(
                "Scores in percent of " + ratings.reference(),
                "Sums of scores beside the reference's, by the order of showing, and their mean with its 95% interval (the paper's Table 6).",
                List.of("system", "reference first", "system first", "mean", "+-"),
                rows);
    }

    private static ReportTable matrix(WinMatrix matrix) {
        List<String> header = new ArrayList<>(List.of("system"));
        header.addAll(matrix.systems());
        List<List<String>> rows = new ArrayList<>();
        for (String system : matrix.systems()) {
            List<String> row = new ArrayList<>(List.of(system));
            Map<String, WinMatrix.Cell> cells = matrix.cells().getOrDefault(system, Map.of());
            for (String other : matrix.systems()) {
                WinMatrix.Cell cell = cells.get(other);
                row.add(cell == null ? "" : cell.wins() + "/" + cell.ties() + "/" + cell.losses());
            }
            rows.add(List.copyOf(row));
        }
        return new ReportTable(
                "Wins, ties, losses",
                "Of the system of the row against that of the column, both orders of showing together.",
                List.copyOf(header),
                rows);
    }

    /**
     * This with a table of what an adapter changed on tasks.
     *
     * @param name of the comparison
     * @param comparison as {@code qlora eval compare --json} prints it
     * @throws FormatException naming the value, if it holds another thing than a number
     */
    public EvalReport with(String name, JsonNode comparison) {
        List<List<String>> rows = new ArrayList<>();
        for (Map.Entry<String, JsonNode> task : comparison.path("results").properties()) {
            for (Map.Entry<String, JsonNode> metric : task.getValue().properties()) {
                rows.add(compared(name, task.getKey(), metric.getKey(), metric.getValue()));
            }
        }
        List<ReportTable> all = new ArrayList<>(tables);
        all.add(
                new ReportTable(
                        "Tasks before and after (" + name.replaceFirst("\\.json$", "") + ")",
                        "The same documents without and with the adapter; difference with its 95% interval; p of McNemar's test, else of the bootstrap.",
                        List.of(
                                "task",
                                "metric",
                                "before",
                                "after",
                                "difference",
                                "95% interval",
                                "p",
                                "learnt",
                                "forgotten"),
                        rows));
        return new EvalReport(List.copyOf(all), strengths);
    }

    private static List<String> compared(String name, String task, String metric, JsonNode d) {
        ToDoubleFunction<String> of =
                key -> {
                    JsonNode value = d.path(key);
                    if (!value.isNumber() && !value.isNull() && !value.isMissingNode()) {
                        throw FormatException.of(
                                "%s: results.%s.%s.%s must be a number, got %s",
                                name, task, metric, key, Shown.of(value));
                    }
                    return value.isNumber() ? JsonNumber.of(value) : Double.NaN;
                };
        return List.of(
                task,
                metric,
                number("%.4f", of.applyAsDouble("before")),
                number("%.4f", of.applyAsDouble("after")),
                number("%+.4f", of.applyAsDouble("difference")),
                number("%+.4f to ", of.applyAsDouble("ci_low"))
                        + number("%+.4f", of.applyAsDouble("ci_high")),
                number("%.4f", of.applyAsDouble(d.has("p_mcnemar") ? "p_mcnemar" : "p_bootstrap")),
                d.path("learnt").asString("-"),
                d.path("forgotten").asString("-"));
    }

    private static ReportTable lengths(LengthControl control) {
        List<List<String>> rows = new ArrayList<>();
        control.systems()
                .forEach((name, rate) ->
                        rows.add(
                                List.of(
                                        name,
                                        number("%.1f", 100 * rate.raw()),
                                        number("%.1f", 100 * rate.controlled()),
                                        number("%.0f", rate.characters()))));
        return new ReportTable(
                "Win rates at equal length",
                String.format(
                        Locale.ROOT,
                        "Percent against the others, as judged and as if all answers were equally long and neither stood first (logistic regression over %d judgments). A far longer answer has odds %.2f times as good, the first place %.2f times.",
                        control.judgments(),
                        Math.exp(control.length()),
                        Math.exp(control.place())),
                List.of("system", "win rate", "at equal length", "characters"),
                rows);
    }

    private static ReportTable bias(JudgeBias bias) {
        List<List<String>> rows = new ArrayList<>();
        bias.systems()
                .forEach((name, place) ->
                        rows.add(
                                List.of(
                                        name,
                                        number("%.3f", place.first()),
                                        number("%.3f", place.second()))));
        return new ReportTable(
                "Position bias",
                String.format(
                        Locale.ROOT,
                        "The answer shown first wins %.1f%% of judgments, the second %.1f%%. Of %d comparisons made in both orders %.1f%% have one verdict.",
                        100 * bias.firstWins(),
                        100 * bias.secondWins(),
                        bias.bothOrders(),
                        100 * bias.consistent()),
                List.of("system", "points shown first", "points shown second"),
                rows);
    }

    private static String number(String format, double value) {
        return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, format, value);
    }

    /** The tables by title: columns, rows of cells as text, the sentence below the title. */
    public Map<String, Object> json() {
        Map<String, Object> out = new LinkedHashMap<>();
        for (ReportTable table : tables) {
            Map<String, Object> of = new LinkedHashMap<>();
            of.put("note", table.note());
            of.put("columns", table.header());
            of.put("rows", table.rows());
            out.put(table.title(), of);
        }
        return out;
    }

    /** As Markdown. */
    public String markdown() {
        StringBuilder out = new StringBuilder("# Ratings\n\n");
        tables.forEach(t -> out.append(t.markdown()));
        return out.toString();
    }

    /** As one page that needs nothing else. */
    public String html() {
        StringBuilder out = new StringBuilder();
        out.append(
                        """
                        <!doctype html>
                        <html lang="en"><head><meta charset="utf-8">
                        <meta name="viewport" content="width=device-width, initial-scale=1">
                        <title>Ratings</title><style>
                        """)
                .append(STYLE)
                .append("</style></head><body>\n<h1>Ratings</h1>\n");
        List<ReportPlot.Row> rows = new ArrayList<>();
        strengths.forEach(
                (name, s) -> rows.add(new ReportPlot.Row(name, s.rating(), s.interval())));
        out.append(ReportPlot.of("Bradley-Terry ratings with their intervals", rows));
        tables.forEach(t -> out.append(t.html()));
        return out.append("</body></html>\n").toString();
    }
}
