package org.qlora4j.app;

import java.io.PrintWriter;
import java.util.Locale;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.qlora4j.error.Preparation;

/**
 * Shows how far a stage of long work is, such as reading data. It has one line of the terminal,
 * which is gone when the stage is over. A short stage is not shown, and none where nobody watches.
 */
final class PreparationLine implements Preparation.Listener {
    private static final long SHOWN_AFTER = 300_000_000; // ns

    private final Supplier<Terminal> terminal;
    private final LongSupplier nanoTime;
    private final StatusLine line;
    private String stage = "";
    private long begun;
    private boolean muted;

    PreparationLine(PrintWriter out, Supplier<Terminal> terminal) {
        this(out, terminal, System::nanoTime);
    }

    /**
     * @param nanoTime the clock
     */
    PreparationLine(PrintWriter out, Supplier<Terminal> terminal, LongSupplier nanoTime) {
        this.terminal = terminal;
        this.nanoTime = nanoTime;
        this.line = new StatusLine(out, terminal, nanoTime);
    }

    /** Shows nothing from now on, for output that a program reads. */
    synchronized void mute() {
        muted = true;
        line.close();
    }

    /** Takes the line off the screen, before something else is printed. */
    synchronized void clear() {
        line.close();
    }

    @Override
    public synchronized void at(String work, long done, long all, String unit) {
        if (!work.equals(stage)) {
            stage = work;
            begun = nanoTime.getAsLong();
        }
        boolean isShort = nanoTime.getAsLong() - begun < SHOWN_AFTER;
        if (!muted && !isShort && line.isDue() && terminal.get().interactive()) {
            String count = String.format(Locale.ROOT, "%,d", done);
            String of = all > 0 ? String.format(Locale.ROOT, " of %,d", Math.max(all, done)) : "";
            line.update(work + ": " + count + of + " " + unit);
        }
    }

    @Override
    public synchronized void over() {
        stage = "";
        line.close();
    }
}
