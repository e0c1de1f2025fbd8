package org.qlora4j.app.chat;

import org.jline.utils.WCWidth;

/**
 * Breaks a text that comes in pieces into rows between words. A word is held back until it is
 * whole, since only then it is known whether it fits; one that is wider than a row is cut. Widths
 * are cells of a terminal, of which ideographs take two.
 */
final class WordWrap {
    private static final String TAB = "    ";

    private final int width;
    private final StringBuilder blanks = new StringBuilder(); // not yet given
    private final StringBuilder word = new StringBuilder(); // not yet given
    private int wordCells;
    private int column; // cells given of this row

    /**
     * @param width cells of a row, at least 2
     */
    WordWrap(int width) {
        this.width = width;
    }

    /** Cells that a text takes in one row. */
    static int cells(String text) {
        return text.codePoints().map(WordWrap::cells).sum();
    }

    private static int cells(int codePoint) {
        return Math.max(0, WCWidth.wcwidth(codePoint));
    }

    /** Takes a piece; what is sure with it, with line ends where rows end. */
    String push(String piece) {
        StringBuilder out = new StringBuilder();
        piece.replace("\t", TAB).codePoints().forEach(c -> take(c, out));
        return out.toString();
    }

    /** The word that was held back. */
    String finish() {
        StringBuilder out = new StringBuilder();
        give(out);
        return out.toString();
    }

    private void take(int c, StringBuilder out) {
        if (c == '\n') {
            give(out);
            out.append('\n');
            blanks.setLength(0);
            column = 0;
        } else if (c == ' ') {
            give(out);
            blanks.append(' ');
        } else {
            int cells = cells(c);
            if (wordCells + cells > width || cells == 2) { // too wide, or a word of its own
                give(out);
            }
            word.appendCodePoint(c);
            wordCells += cells;
            if (cells == 2) {
                give(out);
            }
        }
    }

    private void give(StringBuilder out) {
        if (word.isEmpty()) {
            return;
        }
        boolean fits = column + blanks.length() + wordCells <= width;
        if (fits) {
            out.append(blanks);
            column += blanks.length();
        } else {
            if (column > 0) { // a row of blanks alone is no row
                out.append('\n');
            }
            column = 0;
        }
        out.append(word);
        column += wordCells;
        blanks.setLength(0);
        word.setLength(0);
        wordCells = 0;
    }
}
