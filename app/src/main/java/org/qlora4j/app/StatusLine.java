package org.qlora4j.app;

import java.io.PrintWriter;

/**
 * How far a command is: on a terminal one line that is drawn over, elsewhere a plain line every few
 * seconds.
 */
final class StatusLine implements AutoCloseable {
    private static final long REDRAWN_AFTER = 200_000_000; // ns
    private static final long PLAIN_AFTER = 10_000_000_000L;

    private final PrintWriter out;
    private final Terminal terminal;
    private long shown = System.nanoTime();
    private int drawn;

    StatusLine(PrintWriter out, Terminal terminal) {
        this.out = out;
        this.terminal = terminal;
    }

    /** Shows the line, unless the last was shown just now. */
    synchronized void update(String line) {
        long now = System.nanoTime();
        if (now - shown < (terminal.interactive() ? REDRAWN_AFTER : PLAIN_AFTER)) {
            return;
        }
        shown = now;
        if (terminal.interactive()) {
            // A character in the last column would wrap the line.
            String fits = line.substring(0, Math.min(line.length(), terminal.columns() - 1));
            int clear = Math.max(0, drawn - fits.length());
            VisibleWriter.own(() -> out.print('\r' + fits + " ".repeat(clear)));
            drawn = fits.length();
        } else {
            out.println(line);
        }
        out.flush();
    }

    /** Takes the line off the screen. */
    @Override
    public synchronized void close() {
        if (drawn > 0) {
            int clear = drawn;
            VisibleWriter.own(() -> out.print('\r' + " ".repeat(clear) + '\r'));
            out.flush();
            drawn = 0;
        }
    }
}
