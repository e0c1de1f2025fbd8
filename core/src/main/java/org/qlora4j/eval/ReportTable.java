package org.qlora4j.eval;

import java.util.List;
import org.qlora4j.report.Html;

/**
 * A table of a report.
 *
 * @param title above it
 * @param note a sentence below the title
 * @param header names of the columns
 * @param rows cells as text, the first of each a name
 */
record ReportTable(String title, String note, List<String> header, List<List<String>> rows) {
    /** As Markdown. */
    String markdown() {
        StringBuilder out = new StringBuilder();
        out.append("## ").append(title).append("\n\n").append(note).append("\n\n");
        line(out, header);
        line(out, header.stream().map(h -> h.equals(header.getFirst()) ? "---" : "---:").toList());
        rows.forEach(row -> line(out, row));
        return out.append('\n').toString();
    }

    private static void line(StringBuilder out, List<String> cells) {
        out.append('|');
        for (String cell : cells) {
            out.append(' ').append(cell.replace("|", "\\|")).append(" |");
        }
        out.append('\n');
    }

    /** As a section of a page. */
    String html() {
        StringBuilder out = new StringBuilder();
        out.append("<section><h2>")
                .append(Html.escape(title))
                .append("</h2>\n<p>")
                .append(Html.escape(note))
                .append("</p>\n<div class=\"wide\"><table>\n<tr>");
        header.forEach(h -> out.append("<th>").append(Html.escape(h)).append("</th>"));
        out.append("</tr>\n");
        for (List<String> row : rows) {
            out.append("<tr>");
            row.forEach(c -> out.append("<td>").append(Html.escape(c)).append("</td>"));
            out.append("</tr>\n");
        }
        return out.append("</table></div></section>\n").toString();
    }
}
