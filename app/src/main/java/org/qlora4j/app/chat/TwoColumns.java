package org.qlora4j.app.chat;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;

/**
 * Two texts beside each other, as both come: a row is printed once both sides have it whole, so
 * that nothing is drawn over.
 */
final class TwoColumns {
    /** Cells below which columns would be too narrow to read. */
    static final int NARROWEST = 60;

    private static final String BETWEEN = " | ";

    private final PrintWriter out;
    private final int width; // of a column
    private final List<Column> columns;
    private int printed;

    /** A side: its whole rows, and the one that is begun. */
    private static final class Column {
        private final WordWrap wrap;
        private final List<String> rows = new ArrayList<>();
        private final StringBuilder last = new StringBuilder();
        private boolean ended;

        Column(int width) {
            wrap = new WordWrap(width);
        }

        void add(String wrapped) {
            int from = 0;
            for (int end = wrapped.indexOf('\n'); end >= 0; end = wrapped.indexOf('\n', from)) {
                rows.add(last + wrapped.substring(from, end));
                last.setLength(0);
                from = end + 1;
            }
            last.append(wrapped, from, wrapped.length());
        }

        void end() {
            add(wrap.finish());
            if (!last.isEmpty()) {
                rows.add(last.toString());
            }
            ended = true;
        }

        boolean has(int row) {
            return ended || row < rows.size();
        }

        String row(int row) {
            return row < rows.size() ? rows.get(row) : "";
        }
    }

    /**
     * @param cells of the terminal, at least {@link #NARROWEST}
     */
    TwoColumns(PrintWriter out, int cells) {
        this.out = out;
        this.width = (cells - 1 - BETWEEN.length()) / 2;
        this.columns = List.of(new Column(width), new Column(width));
    }

    /** Names the columns. */
    void titles(String left, String right) {
        columns.get(0).add(columns.get(0).wrap.push(left + "\n"));
        columns.get(1).add(columns.get(1).wrap.push(right + "\n"));
        while (columns.get(0).rows.size() != columns.get(1).rows.size()) {
            (columns.get(0).rows.size() < columns.get(1).rows.size()
                            ? columns.get(0)
                            : columns.get(1))
                    .rows.add("");
        }
        columns.forEach(column -> column.rows.add("-".repeat(width)));
        print();
    }

    /** Takes a piece of the left text, 0, or the right one, 1. */
    void push(int side, String piece) {
        Column column = columns.get(side);
        column.add(column.wrap.push(piece));
        print();
    }

    /** Says that a side has all its text. */
    void end(int side) {
        columns.get(side).end();
        print();
    }

    private void print() {
        Column left = columns.get(0);
        Column right = columns.get(1);
        while (left.has(printed)
                && right.has(printed)
                && printed < Math.max(left.rows.size(), right.rows.size())) {
            String text = left.row(printed);
            String padding = " ".repeat(Math.max(0, width - WordWrap.cells(text)));
            out.println((text + padding + BETWEEN + right.row(printed)).stripTrailing());
            printed++;
        }
        out.flush();
    }
}
