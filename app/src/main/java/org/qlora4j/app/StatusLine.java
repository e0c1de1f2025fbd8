package org.qlora4j.app;

import java.io.PrintWriter;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * How far a command is: on a terminal one line that is drawn over, elsewhere a plain line every few
 * seconds.
 */
final class StatusLine implements AutoCloseable {
    private static final long REDRAWN_AFTER = 200_000_000; // ns
    private static final long PLAIN_AFTER = 10_000_000_000L;

    private final PrintWriter out;
    private final Supplier<Terminal> terminal;
    private final LongSupplier nanoTime;
    private long shown;
    private int drawn;

    StatusLine(PrintWriter out, Supplier<Terminal> terminal) {
        this(out, terminal, System::nanoTime);
    }

    /**
     * @param nanoTime the clock
     */
    StatusLine(PrintWriter out, Supplier<Terminal> terminal, LongSupplier nanoTime) {
        this.out = out;
        this.terminal = terminal;
        this.nanoTime = nanoTime;
        this.shown = nanoTime.getAsLong();
    }

    /** Shows the line, unless the last was shown just now. */
    synchronized void update(String line) {
        long now = nanoTime.getAsLong();
        if (now - shown < REDRAWN_AFTER) {
            return;
        }
        Terminal screen = terminal.get();
        if (!screen.interactive() && now - shown < PLAIN_AFTER) {
            return;
        }
        shown = now;
        if (screen.interactive()) {
            // A character in the last column would wrap the line.
            int room = screen.columns() - 1;
            String fits = line.substring(0, Math.min(line.length(), room));
            int clear = Math.clamp(drawn - fits.length(), 0, room - fits.length());
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
            int clear = Math.min(drawn, terminal.get().columns() - 1);
            VisibleWriter.own(() -> out.print('\r' + " ".repeat(clear) + '\r'));
            out.flush();
            drawn = 0;
        }
    }
}
