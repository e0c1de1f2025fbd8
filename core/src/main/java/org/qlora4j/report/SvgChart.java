package org.qlora4j.report;

import java.util.List;
import java.util.Locale;

/** A chart as SVG inside HTML; colours come from the classes of the page's style. */
final class SvgChart {
    private static final int WIDTH = 600;
    private static final int HEIGHT = 280;
    private static final int LEFT = 58;
    private static final int RIGHT = 12;
    private static final int TOP = 34;
    private static final int BOTTOM = 36;

    private SvgChart() {}

    static String of(Chart chart) {
        Axis x = Axis.spanning(chart.firstStep(), chart.lastStep(), 6, true);
        Axis y = Axis.around(chart.min(), chart.max(), 5);
        StringBuilder svg = new StringBuilder();
        String name = Html.escape(chart.title());
        svg.append(
                "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n"
                        .formatted(WIDTH, HEIGHT, name));
        String unit = chart.unit().isEmpty() ? "" : " (" + Html.escape(chart.unit()) + ")";
        text(svg, LEFT, 16, "title", "start", name + unit);
        legend(svg, chart);
        for (double tick : y.ticks()) {
            double at = top(y, tick);
            svg.append(line("grid", LEFT, at, WIDTH - RIGHT, at));
            text(svg, LEFT - 6, at + 4, "tick", "end", Axis.label(tick));
        }
        for (double tick : x.ticks()) {
            double at = left(x, tick);
            svg.append(line("mark", at, HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 4));
            text(svg, at, HEIGHT - BOTTOM + 17, "tick", "middle", Axis.label(tick));
        }
        svg.append(line("axis", LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM));
        text(svg, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 3, "tick", "middle", "step");
        for (int i = 0; i < chart.series().size(); i++) {
            draw(svg, chart.series().get(i), x, y);
        }
        return svg.append("</svg>\n").toString();
    }

    /** Names on the right of the title, where there is more than one line to tell apart. */
    private static void legend(StringBuilder svg, Chart chart) {
        List<Chart.Series> named =
                chart.series().stream().filter(s -> !s.name().isEmpty()).toList().reversed();
        double right = WIDTH - RIGHT;
        for (Chart.Series series : named) {
            double width = 6.6 * series.name().length() + 26;
            double from = right - width;
            svg.append(line(classOf(series), from, 12, from + 18, 12));
            text(svg, from + 23, 16, "tick", "start", Html.escape(series.name()));
            right = from - 10;
        }
    }

    /** A line, broken where a value is no finite number. */
    private static void draw(StringBuilder svg, Chart.Series series, Axis x, Axis y) {
        StringBuilder path = new StringBuilder();
        boolean joined = false;
        for (Chart.Point point : series.points()) {
            if (!Double.isFinite(point.value())) {
                joined = false;
                continue;
            }
            path.append(joined ? 'L' : 'M')
                    .append(number(left(x, point.step())))
                    .append(' ')
                    .append(number(top(y, point.value())));
            joined = true;
        }
        svg.append("<path class=\"%s\" d=\"%s\"/>\n".formatted(classOf(series), path));
        if (series.style() == Chart.Style.MARKED || series.points().size() == 1) {
            for (Chart.Point point : series.points()) {
                if (Double.isFinite(point.value())) {
                    svg.append(
                            "<circle class=\"dot %s\" cx=\"%s\" cy=\"%s\" r=\"3.2\"><title>step %d: %s</title></circle>\n"
                                    .formatted(
                                            classOf(series),
                                            number(left(x, point.step())),
                                            number(top(y, point.value())),
                                            point.step(),
                                            String.format(Locale.ROOT, "%.4g", point.value())));
                }
            }
        }
    }

    private static String classOf(Chart.Series series) {
        return switch (series.style()) {
            case LINE -> "line";
            case FAINT -> "faint";
            case MARKED -> "marked";
        };
    }

    private static double left(Axis x, double step) {
        return LEFT + x.share(step) * (WIDTH - LEFT - RIGHT);
    }

    private static double top(Axis y, double value) {
        return HEIGHT - BOTTOM - y.share(value) * (HEIGHT - TOP - BOTTOM);
    }

    private static String line(String style, double x1, double y1, double x2, double y2) {
        return "<line class=\"%s\" x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\"/>\n"
                .formatted(style, number(x1), number(y1), number(x2), number(y2));
    }

    private static void text(
            StringBuilder svg, double x, double y, String style, String anchor, String text) {
        svg.append(
                "<text class=\"%s\" x=\"%s\" y=\"%s\" text-anchor=\"%s\">%s</text>\n"
                        .formatted(style, number(x), number(y), anchor, text));
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.1f", value);
    }
}
