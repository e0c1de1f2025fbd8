package org.qlora4j.report;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.qlora4j.data.Example;
import org.qlora4j.data.Inspection;
import org.qlora4j.tokenize.TokenStream;
import org.qlora4j.tokenize.Tokenizer;

/**
 * An {@link Inspection} as one HTML file that loads nothing: facts, findings, a histogram of the
 * lengths, and examples token by token, those to look at first before all. All text of the data is
 * escaped. Colours follow the reader's choice of light or dark; what is learnt is underlined too,
 * for eyes and prints without colour.
 */
final class InspectionPage {
    /** Examples that are seen at once. */
    private static final int SHEET = 20;

    /** Bars of equal width; more would be thinner than a pixel on a phone. */
    private static final int BARS = 40;

    private static final Map<String, String> MEANINGS =
            Map.of(
                    "end in",
                    "The last token of the examples, and of how many. An answer learns to stop by it; generation must stop at the same.",
                    "round trip",
                    "Tokens decoded again, and compared with the text that they were made of: what the model sees is what the file says.",
                    "cut",
                    "Longer than source_max_len and target_max_len allow. Where the answer is cut, its end is not learnt.");

    private InspectionPage() {}

    /** The whole page. */
    static String html(Inspection inspection, Tokenizer tokenizer) {
        StringBuilder out = new StringBuilder();
        out.append("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
                .append("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n")
                .append("<title>Training data</title>\n<style>\n")
                .append(Html.resource("report.css"))
                .append(Html.resource("inspection.css"))
                .append("</style>\n</head>\n<body>\n<h1>Training data</h1>\n");
        facts(inspection, out);
        out.append("<h2>To look into</h2>\n");
        findings(inspection, out);
        out.append("<h2>Lengths</h2>\n");
        histogram(inspection, out);
        out.append(
                """
                <h2>Examples</h2>
                <p class="key"><span><i class="l">trained</i></span><span><i class="g">given</i></span>
                <span><i class="g s">special token</i></span><span class="dim">One shade a token.</span>
                <label><input type="checkbox" id="ids"> place and id of each token</label></p>
                """);
        examples(inspection, tokenizer, out);
        return out.append("<script>\n")
                .append(Html.resource("inspection.js"))
                .append("</script>\n</body>\n</html>\n")
                .toString();
    }

    private static void facts(Inspection inspection, StringBuilder out) {
        out.append("<table class=\"facts\">\n");
        inspection
                .facts()
                .forEach((name, value) -> {
                    String meaning = MEANINGS.getOrDefault(name, "");
                    out.append("<tr><th>")
                            .append(Html.escape(name))
                            .append("</th><td>")
                            .append(Html.escape(value))
                            .append(
                                    meaning.isEmpty()
                                            ? ""
                                            : "<span class=\"dim\">" + meaning + "</span>")
                            .append("</td></tr>\n");
                });
        out.append("</table>\n");
    }

    /** Examples to look at first, then all that the page holds, a sheet at a time. */
    private static void examples(Inspection inspection, Tokenizer tokenizer, StringBuilder out) {
        if (!inspection.shown().isEmpty()) {
            out.append("<h3>To look at first</h3>\n");
        }
        inspection.shown().forEach(shown -> example(shown, 0, tokenizer, out));
        List<Example> all = inspection.leaves();
        int last = inspection.from() + all.size() - 1;
        String rest =
                last < inspection.stats().examples()
                        ? ", this page holds %,d to %,d; --from %d shows those behind them"
                                .formatted(inspection.from(), last, last + 1)
                        : inspection.from() > 1
                                ? ", this page holds those from %,d".formatted(inspection.from())
                                : "";
        append(
                out,
                """
                <h3>All %,d in the order of the data%s</h3>
                <nav hidden><button type="button">Previous</button><output></output><button type="button">Next</button>
                <label>go to example <input type="number" min="%d" max="%d"></label></nav>
                """,
                inspection.stats().examples(),
                rest,
                inspection.from(),
                last);
        for (int i = 0; i < all.size(); i++) {
            out.append(i % SHEET == 0 ? "<section class=\"sheet\">\n" : "");
            example(new Inspection.Shown(all.get(i), ""), inspection.from() + i, tokenizer, out);
            out.append(i % SHEET == SHEET - 1 || i == all.size() - 1 ? "</section>\n" : "");
        }
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
                    .append(Html.escape(finding.text()))
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
        double step = 780.0 / bars;
        out.append(
                "<figure>\n<svg viewBox=\"0 0 880 225\" role=\"img\" aria-label=\"Histogram of lengths\">\n");
        append(out, "<line x1=\"60\" y1=\"180\" x2=\"840\" y2=\"180\"/>\n");
        for (int i = 0; i < bars; i++) {
            if (counts[i] > 0) {
                double height = Math.max(1.5, 150.0 * counts[i] / most);
                append(
                        out,
                        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>%d to %d tokens: %d examples</title></rect>\n",
                        60 + i * step + 0.5,
                        180 - height,
                        Math.max(1, step - 1),
                        height,
                        i * width,
                        (i + 1) * width - 1,
                        counts[i]);
            }
        }
        append(out, "<text x=\"54\" y=\"34\" text-anchor=\"end\">%d</text>\n", most);
        append(out, "<text x=\"54\" y=\"184\" text-anchor=\"end\">0</text>\n");
        for (int tick = 0; tick <= 4; tick++) {
            append(
                    out,
                    "<text x=\"%.1f\" y=\"208\" text-anchor=\"middle\">%d</text>\n",
                    60 + 195.0 * tick,
                    bars * width / 4 * tick);
        }
        int limit = inspection.limit();
        if (limit <= bars * width) {
            double x = 60 + 780.0 * limit / (bars * width);
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

    /**
     * One example.
     *
     * @param number its place in the data, from 1, by which it is found; 0 for none
     */
    private static void example(
            Inspection.Shown shown, int number, Tokenizer tokenizer, StringBuilder out) {
        Example example = shown.example();
        out.append(number > 0 ? "<article id=\"e%d\">".formatted(number) : "<article>")
                .append("\n<header>")
                .append(number > 0 ? number + " · " : "")
                .append(Html.escape(example.file() + ":" + example.line()))
                .append(" <span class=\"dim\">· ")
                .append("%d tokens, %d trained".formatted(example.length(), example.labelTokens()))
                .append(example.truncated() ? ", cut from %d".formatted(example.fullLength()) : "")
                .append("</span>")
                .append(shown.why().isEmpty() ? "" : " <b>" + Html.escape(shown.why()) + "</b>")
                .append("</header>\n<div class=\"text\">");
        TokenStream stream = tokenizer.stream(false);
        int shownTokens = Math.min(example.length(), Inspection.TOKENS_SHOWN);
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
                .append("\" title=\"")
                .append(from)
                .append(": ")
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
                                            : Html.escape(Character.toString(c)));
                        }
                    }
                });
        return out.toString();
    }

    @SuppressWarnings("AnnotateFormatMethod") // its annotation is in a library we do without
    private static void append(StringBuilder out, String format, Object... args) {
        out.append(String.format(Locale.ROOT, format, args));
    }
}
