package org.qlora4j.study;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.qlora4j.report.Html;
import org.qlora4j.study.StudyTable.Row;

/** A plot of a study as one SVG file: perplexity by row on a logarithmic axis, with intervals. */
final class StudyPlot {
    private static final int WIDTH = 760;
    private static final int LEFT = 170;
    private static final int RIGHT = 30;
    private static final int TOP = 40;
    private static final int ROW = 24;
    private static final int FOOT = 40;

    private StudyPlot() {}

    static String of(String title, List<Row> rows) {
        double base = Math.log(rows.getFirst().perplexity());
        double low = Double.MAX_VALUE;
        double high = -Double.MAX_VALUE;
        for (Row row : rows) {
            double at = base + row.change();
            low = Math.min(low, lower(row, base, at));
            high = Math.max(high, upper(row, base, at));
        }
        double margin = high > low ? (high - low) * 0.05 : 0.1;
        Scale scale = new Scale(low - margin, high + margin);
        int height = TOP + rows.size() * ROW + FOOT;
        StringBuilder svg = new StringBuilder();
        svg.append(
                """
                <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
                <rect width="100%%" height="100%%" fill="white"/>
                <text x="%d" y="20" font-size="14">%s</text>
                """
                        .formatted(WIDTH, height, LEFT, Html.escape(title)));
        for (double tick : scale.ticks()) {
            double x = scale.at(Math.log(tick));
            svg.append(line(x, TOP, x, height - FOOT, "#ddd"));
            svg.append(text(x, height - FOOT + 16, "middle", label(tick)));
        }
        svg.append(text((LEFT + WIDTH - RIGHT) / 2.0, height - 8, "middle", "perplexity"));
        double x0 = scale.at(base);
        svg.append(line(x0, TOP, x0, height - FOOT, "#888"));
        for (int i = 0; i < rows.size(); i++) {
            Row row = rows.get(i);
            double y = TOP + i * ROW + ROW / 2.0;
            double at = base + row.change();
            double from = scale.at(lower(row, base, at));
            double to = scale.at(upper(row, base, at));
            svg.append(text(LEFT - 8, y + 4, "end", row.name()));
            svg.append(line(from, y, to, y, "#2a6fb0"));
            svg.append(
                    "<circle cx=\"%s\" cy=\"%s\" r=\"4\" fill=\"#2a6fb0\"/>\n"
                            .formatted(number(scale.at(at)), number(y)));
        }
        return svg.append("</svg>\n").toString();
    }

    private static double lower(Row row, double base, double at) {
        return Double.isNaN(row.interval().low()) ? at : Math.min(at, base + row.interval().low());
    }

    private static double upper(Row row, double base, double at) {
        return Double.isNaN(row.interval().high())
                ? at
                : Math.max(at, base + row.interval().high());
    }

    /** Logarithms to places. */
    private record Scale(double from, double to) {
        double at(double log) {
            return LEFT + (log - from) / (to - from) * (WIDTH - LEFT - RIGHT);
        }

        /** Round perplexities, about six. */
        List<Double> ticks() {
            double low = Math.exp(from);
            double high = Math.exp(to);
            if (high / low > 20) {
                int first = (int) Math.ceil(Math.log10(low));
                int last = (int) Math.floor(Math.log10(high));
                return IntStream.rangeClosed(first, last)
                        .mapToObj(power -> Math.pow(10, power))
                        .toList();
            }
            double raw = (high - low) / 6;
            double power = Math.pow(10, Math.floor(Math.log10(raw)));
            double step = power * (raw / power <= 2 ? 2 : raw / power <= 5 ? 5 : 10);
            return LongStream.rangeClosed(
                            (long) Math.ceil(low / step), (long) Math.floor(high / step))
                    .mapToObj(i -> i * step)
                    .toList();
        }
    }

    private static String label(double tick) {
        return new BigDecimal(tick).round(new MathContext(4)).stripTrailingZeros().toPlainString();
    }

    private static String line(double x1, double y1, double x2, double y2, String colour) {
        return "<line x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\" stroke=\"%s\" stroke-width=\"1.5\"/>\n"
                .formatted(number(x1), number(y1), number(x2), number(y2), colour);
    }

    private static String text(double x, double y, String anchor, String text) {
        return "<text x=\"%s\" y=\"%s\" text-anchor=\"%s\">%s</text>\n"
                .formatted(number(x), number(y), anchor, Html.escape(text));
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.1f", value);
    }
}
