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
    private final DrawnLine drawn;
    private long shown;

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
        this.drawn = new DrawnLine(out);
        this.shown = nanoTime.getAsLong();
    }

    /** Whether the last line was not shown just now. */
    synchronized boolean isDue() {
        return nanoTime.getAsLong() - shown >= REDRAWN_AFTER;
    }

    /** Shows the line, if it {@linkplain #isDue is time}. */
    synchronized void update(String line) {
        if (!isDue()) {
            return;
        }
        long now = nanoTime.getAsLong();
        Terminal screen = terminal.get();
        if (!screen.interactive() && now - shown < PLAIN_AFTER) {
            return;
        }
        shown = now;
        if (screen.interactive()) {
            drawn.draw(line, screen);
        } else {
            out.println(line);
            out.flush();
        }
    }

    /** Takes the line off the screen. */
    @Override
    public synchronized void close() {
        if (drawn.isDrawn()) {
            drawn.wipe(terminal.get());
        }
    }
}
