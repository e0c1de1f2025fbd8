package org.qlora4j.data;

import java.util.Locale;
import java.util.Map;
import org.qlora4j.tokenize.TokenStream;
import org.qlora4j.tokenize.Tokenizer;

/**
 * An {@link Inspection} as one HTML file that loads nothing: facts, findings, a histogram of the
 * lengths, and examples token by token. All text of the data is escaped. Colours follow the
 * reader's choice of light or dark; what is learnt is underlined too, for eyes and prints without
 * colour.
 */
public final class InspectionPage {
    /** Tokens of an example that are shown; a browser takes no more with ease. */
    private static final int TOKENS_SHOWN = 4000;

    private static final int BARS = 40;

    private static final String STYLE =
            """
            :root{color-scheme:light dark;--page:#fff;--ink:#1c2127;--quiet:#5b6570;--rule:#d8dde3;--panel:#f6f7f9;\
            --learnt:#c9ebcd;--learnt2:#b3dfb9;--line:#2e7d3a;--given:#eceff2;--given2:#e0e4e9;--warn:#8a5300;--bad:#b3261e}
            @media (prefers-color-scheme:dark){:root{--page:#14171b;--ink:#e4e7eb;--quiet:#9aa4af;--rule:#333a42;--panel:#1c2026;\
            --learnt:#1f4a2a;--learnt2:#285c35;--line:#7fd18c;--given:#23282f;--given2:#2c323a;--warn:#e6b35c;--bad:#ff8a80}}
            *{box-sizing:border-box}
            body{margin:0 auto;max-width:64rem;padding:2rem 1.25rem 4rem;background:var(--page);color:var(--ink);\
            font:15px/1.5 system-ui,sans-serif}
            h1{font-size:1.5rem;margin:0 0 1rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:2.25rem 0 .75rem}
            table{border-collapse:collapse;width:100%}
            th,td{text-align:left;vertical-align:top;padding:.3rem .75rem .3rem 0;border-bottom:1px solid var(--rule)}
            th{font-weight:600;white-space:nowrap;width:8rem}td{overflow-wrap:anywhere}
            ul{padding-left:1.2rem;margin:.5rem 0}li{margin:.35rem 0;overflow-wrap:anywhere}
            .warn::marker{color:var(--warn)}.bad{color:var(--bad)}.bad b{font-weight:700}
            .quiet,figcaption{color:var(--quiet)}figure{margin:0}figcaption{font-size:.875rem}
            svg{width:100%;height:auto;display:block}svg rect{fill:var(--line)}svg text{fill:var(--quiet);font:11px system-ui,sans-serif}
            svg line{stroke:var(--rule)}svg .limit{stroke:var(--bad);stroke-dasharray:4 3}
            .key span{margin-right:1rem}
            article{border:1px solid var(--rule);border-radius:6px;margin:0 0 1rem}
            article header{background:var(--panel);padding:.45rem .75rem;border-bottom:1px solid var(--rule);font-size:.875rem;overflow-wrap:anywhere}
            article header b{color:var(--warn);font-weight:600}
            .text{padding:.75rem;white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.75 ui-monospace,Menlo,Consolas,monospace}
            .text span,.key i{font-style:normal;border-radius:2px;padding:1px 0}
            .g{background:var(--given)}.g.n{background:var(--given2)}
            .l{background:var(--learnt);box-shadow:inset 0 -2px var(--line)}.l.n{background:var(--learnt2)}
            .s{font-weight:700}.key i{padding:1px .4rem}.c{color:var(--quiet)}
            """;

    private InspectionPage() {}

    /** The whole page. */
    public static String html(Inspection inspection, Tokenizer tokenizer) {
        StringBuilder out = new StringBuilder();
        out.append("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
                .append("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n")
                .append("<title>Training data</title>\n<style>\n")
                .append(STYLE)
                .append("</style>\n</head>\n<body>\n<h1>Training data</h1>\n<table>\n");
        for (Map.Entry<String, String> fact : inspection.facts().entrySet()) {
            out.append("<tr><th>")
                    .append(escaped(fact.getKey()))
                    .append("</th><td>")
                    .append(escaped(fact.getValue()))
                    .append("</td></tr>\n");
        }
        out.append("</table>\n<h2>To look into</h2>\n");
        findings(inspection, out);
        out.append("<h2>Lengths</h2>\n");
        histogram(inspection, out);
        out.append("<h2>Examples</h2>\n<p class=\"key\"><span><i class=\"l\">trained</i></span>")
                .append("<span><i class=\"g\">given</i></span>")
                .append("<span><i class=\"g s\">special token</i></span>")
                .append(
                        "<span class=\"quiet\">One shade a token; point at it for place and id.</span></p>\n");
        for (Inspection.Shown shown : inspection.shown()) {
            example(shown, tokenizer, out);
        }
        return out.append("</body>\n</html>\n").toString();
    }

    private static void findings(Inspection inspection, StringBuilder out) {
        if (inspection.findings().isEmpty()) {
            out.append("<p>Nothing was found.</p>\n");
            return;
        }
        out.append("<ul>\n");
        for (Inspection.Finding finding : inspection.findings()) {
            out.append(
                            finding.refused()
                                    ? "<li class=\"bad\"><b>A run refuses this:</b> "
                                    : "<li class=\"warn\">")
                    .append(escaped(finding.text()))
                    .append("</li>\n");
        }
        out.append("</ul>\n");
    }

    /** Bars of equal width from 0 to the longest example. */
    private static void histogram(Inspection inspection, StringBuilder out) {
        int longest = inspection.quantile(1);
        int width = roundWidth(Math.ceilDiv(longest + 1, BARS));
        int bars = Math.ceilDiv(longest / width + 1, 4) * 4; // four equal steps on the axis
        int[] counts = new int[bars];
        int most = 0;
        for (int length : inspection.lengths()) {
            most = Math.max(most, ++counts[length / width]);
        }
        double step = 800.0 / bars;
        out.append(
                "<figure>\n<svg viewBox=\"0 0 860 220\" role=\"img\" aria-label=\"Histogram of lengths\">\n");
        append(out, "<line x1=\"40\" y1=\"180\" x2=\"840\" y2=\"180\"/>\n");
        for (int i = 0; i < bars; i++) {
            if (counts[i] > 0) {
                double height = Math.max(1.5, 150.0 * counts[i] / most);
                append(
                        out,
                        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>%d to %d tokens: %d examples</title></rect>\n",
                        40 + i * step + 0.5,
                        180 - height,
                        Math.max(1, step - 1),
                        height,
                        i * width,
                        (i + 1) * width - 1,
                        counts[i]);
            }
        }
        append(out, "<text x=\"36\" y=\"34\" text-anchor=\"end\">%d</text>\n", most);
        append(out, "<text x=\"36\" y=\"184\" text-anchor=\"end\">0</text>\n");
        for (int tick = 0; tick <= 4; tick++) {
            append(
                    out,
                    "<text x=\"%.1f\" y=\"198\" text-anchor=\"middle\">%d</text>\n",
                    40 + 200.0 * tick,
                    bars * width / 4 * tick);
        }
        int limit = inspection.limit();
        if (limit <= bars * width) {
            double x = 40 + 800.0 * limit / (bars * width);
            append(
                    out,
                    "<line class=\"limit\" x1=\"%.1f\" y1=\"20\" x2=\"%.1f\" y2=\"180\"/>\n",
                    x,
                    x);
        }
        append(
                out,
                "</svg>\n<figcaption>Examples by tokens, after the limits. An example may have %d tokens%s.</figcaption>\n</figure>\n",
                limit,
                limit <= bars * width ? " (dashed)" : ", beyond the right edge");
    }

    /** The next of 1, 2, 5, 10, 20, 50 and so on. */
    private static int roundWidth(int least) {
        int width = 1;
        for (int step = 0; width < least; step++) {
            width = step % 3 == 1 ? width / 2 * 5 : width * 2;
        }
        return width;
    }

    private static void example(Inspection.Shown shown, Tokenizer tokenizer, StringBuilder out) {
        Example example = shown.example();
        out.append("<article>\n<header>")
                .append(escaped(example.file() + ":" + example.line()))
                .append(" <span class=\"quiet\">· ")
                .append("%d tokens, %d trained".formatted(example.length(), example.labelTokens()))
                .append(example.truncated() ? ", cut from %d".formatted(example.fullLength()) : "")
                .append("</span>")
                .append(shown.why().isEmpty() ? "" : " <b>" + escaped(shown.why()) + "</b>")
                .append("</header>\n<div class=\"text\">");
        TokenStream stream = tokenizer.stream(false);
        int shownTokens = Math.min(example.length(), TOKENS_SHOWN);
        int from = 0;
        boolean shade = false;
        for (int t = 0; t < shownTokens; t++) {
            String text = stream.push(example.ids()[t]);
            boolean learnt = example.labelled().get(t);
            boolean ends = t + 1 == shownTokens || example.labelled().get(t + 1) != learnt;
            text += ends ? stream.finish() : "";
            if (!text.isEmpty() || ends) {
                token(example, from, t, text, learnt, shade, tokenizer, out);
                from = t + 1;
                shade = !shade;
            }
        }
        if (shownTokens < example.length()) {
            out.append(
                    "<span class=\"c\"> … %d tokens more</span>"
                            .formatted(example.length() - shownTokens));
        }
        out.append("</div>\n</article>\n");
    }

    /** Tokens that make one text together: nearly always one, several for a rare character. */
    private static void token(
            Example example,
            int from,
            int to,
            String text,
            boolean learnt,
            boolean shade,
            Tokenizer tokenizer,
            StringBuilder out) {
        boolean special = tokenizer.decode(new int[] {example.ids()[to]}, true).isEmpty();
        StringBuilder ids = new StringBuilder();
        for (int t = from; t <= to; t++) {
            ids.append(t == from ? "" : " ").append(example.ids()[t]);
        }
        out.append("<span class=\"")
                .append(learnt ? "l" : "g")
                .append(shade ? " n" : "")
                .append(special ? " s" : "")
                .append("\" title=\"token ")
                .append(from)
                .append(", id ")
                .append(ids)
                .append("\">")
                .append(visible(text))
                .append("</span>");
    }

    /** Line feeds and tabs are seen and have their effect; other control characters are escapes. */
    private static String visible(String text) {
        StringBuilder out = new StringBuilder();
        text.codePoints()
                .forEach(c -> {
                    switch (c) {
                        case '\n' -> out.append("<span class=\"c\">↵</span>\n");
                        case '\t' -> out.append("<span class=\"c\">⇥</span>\t");
                        default -> {
                            boolean hidden =
                                    Character.isISOControl(c)
                                            || Character.getType(c) == Character.FORMAT;
                            out.append(
                                    hidden
                                            ? "<span class=\"c\">\\u%04x</span>".formatted(c)
                                            : escaped(Character.toString(c)));
                        }
                    }
                });
        return out.toString();
    }

    private static String escaped(String text) {
        StringBuilder out = new StringBuilder(text.length());
        text.codePoints()
                .forEach(c -> {
                    switch (c) {
                        case '&' -> out.append("&amp;");
                        case '<' -> out.append("&lt;");
                        case '>' -> out.append("&gt;");
                        case '"' -> out.append("&quot;");
                        case '\'' -> out.append("&#39;");
                        default -> out.appendCodePoint(c);
                    }
                });
        return out.toString();
    }

    @SuppressWarnings("AnnotateFormatMethod") // its annotation is in a library we do without
    private static void append(StringBuilder out, String format, Object... args) {
        out.append(String.format(Locale.ROOT, format, args));
    }
}
