package org.qlora4j.eval;

import java.util.List;
import java.util.Locale;
import org.qlora4j.report.Html;

/** A plot of values with intervals, one row a system, as SVG inside a page. */
final class ReportPlot {
    private static final int WIDTH = 640;
    private static final int LEFT = 190;
    private static final int RIGHT = 24;
    private static final int ROW = 26;
    private static final int FOOT = 28;
    private static final int TICKS = 5;

    private ReportPlot() {}

    /** A value and its interval. */
    record Row(String name, double value, Interval interval) {}

    /** The plot; its label is what screen readers say. */
    static String of(String label, List<Row> rows) {
        double low = rows.stream().mapToDouble(r -> r.interval().low()).min().orElse(0);
        double high = rows.stream().mapToDouble(r -> r.interval().high()).max().orElse(1);
        double margin = high > low ? (high - low) * 0.04 : 1;
        double from = low - margin;
        double span = high + margin - from;
        int height = rows.size() * ROW + FOOT;
        StringBuilder svg = new StringBuilder();
        svg.append(
                "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n"
                        .formatted(WIDTH, height, Html.escape(label)));
        for (int i = 0; i <= TICKS; i++) {
            double x = LEFT + (double) i / TICKS * (WIDTH - LEFT - RIGHT);
            svg.append(line("grid", x, 0, x, height - FOOT))
                    .append(
                            text(
                                    x,
                                    height - 10,
                                    "middle",
                                    "%.0f".formatted(from + span * i / TICKS)));
        }
        for (int i = 0; i < rows.size(); i++) {
            Row row = rows.get(i);
            double y = i * ROW + ROW / 2.0;
            double x1 = at(row.interval().low(), from, span);
            double x2 = at(row.interval().high(), from, span);
            svg.append(text(LEFT - 10, y + 4, "end", shortened(row.name())))
                    .append(line("bar", x1, y, x2, y))
                    .append(
                            "<circle cx=\"%s\" cy=\"%s\" r=\"4.5\"><title>%s: %s (%s to %s)</title></circle>\n"
                                    .formatted(
                                            number(at(row.value(), from, span)),
                                            number(y),
                                            Html.escape(row.name()),
                                            number(row.value()),
                                            number(row.interval().low()),
                                            number(row.interval().high())));
        }
        return svg.append("</svg>\n").toString();
    }

    private static double at(double value, double from, double span) {
        return LEFT + (value - from) / span * (WIDTH - LEFT - RIGHT);
    }

    private static String shortened(String name) {
        return name.length() <= 26 ? name : name.substring(0, 25) + "…";
    }

    private static String line(String style, double x1, double y1, double x2, double y2) {
        return "<line class=\"%s\" x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\"/>\n"
                .formatted(style, number(x1), number(y1), number(x2), number(y2));
    }

    private static String text(double x, double y, String anchor, String text) {
        return "<text x=\"%s\" y=\"%s\" text-anchor=\"%s\">%s</text>\n"
                .formatted(number(x), number(y), anchor, Html.escape(text));
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.1f", value);
    }
}
