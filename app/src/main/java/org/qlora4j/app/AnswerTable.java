package org.qlora4j.app;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.qlora4j.run.ExactMatch;

/**
 * Shows answers of the base and of the finetuned model side by side. They are those to a few
 * held-out examples; the share of all that is right follows.
 */
final class AnswerTable {
    private static final int ROWS = 5;
    private static final int LINES = 4; // of a cell
    private static final int GAP = 2;
    private static final int NARROW = 60; // columns below which answers stand under each other

    private AnswerTable() {}

    /**
     * The lines of the table and of its sum.
     *
     * @param columns width of the terminal in characters
     */
    static List<String> lines(ExactMatch answers, int columns) {
        List<String> lines = new ArrayList<>();
        List<ExactMatch.Prediction> shown =
                answers.predictions().subList(0, Math.min(ROWS, answers.predictions().size()));
        if (columns < NARROW) {
            shown.forEach(one -> lines.addAll(stacked(one, columns)));
        } else {
            int width = (Math.min(columns, 120) - 1 - 2 * GAP) / 3;
            lines.addAll(row(width, "held-out prompt", "base", "finetuned"));
            lines.addAll(row(width, "-".repeat(width), "-".repeat(width), "-".repeat(width)));
            for (ExactMatch.Prediction one : shown) {
                lines.addAll(row(width, one.prompt(), one.base(), marked(one)));
                lines.add("");
            }
        }
        int all = answers.predictions().size();
        lines.add(
                String.format(
                        Locale.ROOT,
                        "exactly as expected, of %d held-out answers: %d (%s) before, %d (%s) after",
                        all,
                        answers.baseRight(),
                        percent(answers.baseRight(), all),
                        answers.right(),
                        percent(answers.right(), all)));
        return lines;
    }

    private static String percent(int part, int all) {
        return String.format(Locale.ROOT, "%.0f%%", 100.0 * part / Math.max(1, all));
    }

    private static String marked(ExactMatch.Prediction one) {
        return one.isRight()
                ? "✓ " + one.finetuned()
                : "✗ " + one.finetuned() + " (expected " + one.expected() + ")";
    }

    private static List<String> stacked(ExactMatch.Prediction one, int columns) {
        List<String> lines = new ArrayList<>();
        lines.addAll(wrapped("prompt:    " + one.prompt(), columns - 1));
        lines.addAll(wrapped("base:      " + one.base(), columns - 1));
        lines.addAll(wrapped("finetuned: " + marked(one), columns - 1));
        lines.add("");
        return lines;
    }

    private static List<String> row(int width, String... cells) {
        List<List<String>> columns = new ArrayList<>();
        int height = 0;
        for (String cell : cells) {
            List<String> wrapped = wrapped(cell, width);
            columns.add(wrapped);
            height = Math.max(height, wrapped.size());
        }
        List<String> lines = new ArrayList<>();
        for (int y = 0; y < height; y++) {
            StringBuilder line = new StringBuilder();
            for (List<String> column : columns) {
                String text = y < column.size() ? column.get(y) : "";
                line.append(text).append(" ".repeat(Math.max(0, width - text.length() + GAP)));
            }
            lines.add(line.toString().stripTrailing());
        }
        return lines;
    }

    /**
     * Breaks a text into lines of at most a width. It breaks at a blank or behind a comma where one
     * stands in the second half of the line; what is beyond {@value #LINES} lines ends in an
     * ellipsis.
     */
    static List<String> wrapped(String text, int width) {
        String rest = text.replaceAll("\\s+", " ").strip();
        List<String> lines = new ArrayList<>();
        while (rest.length() > width && lines.size() < LINES - 1) {
            int blank = rest.lastIndexOf(' ', width);
            int comma = rest.lastIndexOf(',', width - 1) + 1;
            int at = Math.max(blank, comma);
            at = at > width / 2 ? at : width;
            lines.add(rest.substring(0, at).stripTrailing());
            rest = rest.substring(at).stripLeading();
        }
        lines.add(rest.length() > width ? rest.substring(0, width - 1) + "…" : rest);
        return lines;
    }
}
