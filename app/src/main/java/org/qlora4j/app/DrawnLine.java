package org.qlora4j.app;

import java.io.PrintWriter;

/** One line of a terminal that is drawn over and taken off again. */
final class DrawnLine {
    private final PrintWriter out;
    private int drawn;

    DrawnLine(PrintWriter out) {
        this.out = out;
    }

    /** Whether it is on the screen. */
    boolean isDrawn() {
        return drawn > 0;
    }

    /** Draws a line, cut where the screen ends: a character in the last column would wrap it. */
    void draw(String line, Terminal screen) {
        int width = screen.columns() - 1;
        String fits = line.substring(0, Math.min(line.length(), width));
        int clear = Math.clamp(drawn - fits.length(), 0, width - fits.length());
        VisibleWriter.own(() -> out.print('\r' + fits + " ".repeat(clear)));
        out.flush();
        drawn = fits.length();
    }

    /** Wipes it off. */
    void wipe(Terminal screen) {
        int clear = Math.min(drawn, screen.columns() - 1);
        VisibleWriter.own(() -> out.print('\r' + " ".repeat(clear) + '\r'));
        out.flush();
        drawn = 0;
    }

    /** Leaves it standing; what is drawn next is another line. */
    void leave() {
        drawn = 0;
        out.println();
        out.flush();
    }
}
