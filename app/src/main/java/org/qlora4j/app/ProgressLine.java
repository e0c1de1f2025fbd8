package org.qlora4j.app;

import java.io.PrintWriter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;

/**
 * The progress of a run: on a terminal one line that is drawn over, elsewhere a plain line now and
 * then. Its methods may be called from any thread.
 */
final class ProgressLine implements AutoCloseable {
    private static final int MAX_BAR = 30;
    private static final int MIN_BAR = 8;

    private final PrintWriter out;
    private final Supplier<Terminal> terminal;
    private final long firstStep;
    private final int plainEvery;
    private final DrawnLine drawn;

    /**
     * @param terminal is asked at every step, for a window may change
     * @param firstStep steps that were done before this process: 0, or the step a run was resumed
     *     from
     * @param plainEvery steps between two lines where stdout is no terminal, at least 1
     */
    ProgressLine(PrintWriter out, Supplier<Terminal> terminal, long firstStep, int plainEvery) {
        this.out = out;
        this.terminal = terminal;
        this.firstStep = firstStep;
        this.plainEvery = plainEvery;
        this.drawn = new DrawnLine(out);
    }

    /** Shows on a terminal that the first step, which may take long, is under way. */
    synchronized void begin(long totalSteps) {
        Terminal screen = terminal.get();
        if (screen.interactive() && firstStep < totalSteps) {
            drawn.draw(
                    "%d/%d  the first step is under way".formatted(firstStep, totalSteps), screen);
        }
    }

    /** Shows where the run stands; call it after every optimizer step. */
    synchronized void update(Progress now) {
        Terminal screen = terminal.get();
        if (screen.interactive()) {
            drawn.draw(bar(now, firstStep, screen.columns() - 1), screen);
        } else if (now.step() % plainEvery == 0 || now.step() == now.totalSteps()) {
            out.println(plain(now, firstStep));
            out.flush();
        }
    }

    /**
     * Wipes the line off the terminal, before something else is printed; the next update draws it
     * again.
     */
    synchronized void clear() {
        if (drawn.isDrawn()) {
            drawn.wipe(terminal.get());
        }
    }

    /** Prints a line of its own, above the progress. */
    synchronized void println(String line) {
        clear();
        out.println(line);
        out.flush();
    }

    /** Leaves the last state standing and moves to the next line. */
    @Override
    public synchronized void close() {
        if (drawn.isDrawn()) {
            drawn.leave();
        }
    }

    /**
     * The line of a terminal, at most {@code width} characters; what does not fit is left out:
     * first the bar, then from the right.
     */
    static String bar(Progress now, long firstStep, int width) {
        List<String> fields = new ArrayList<>();
        fields.add(count(now));
        fields.add("loss " + loss(now.loss()));
        fields.add(timeLeft(now, firstStep) + " left");
        fields.add(rate(now.tokensPerSecond()) + " tok/s");
        if (now.residentBytes() > 0) {
            fields.add(ByteSize.text(now.residentBytes()));
        }
        while (fields.size() > 1 && String.join("  ", fields).length() > width) {
            fields.removeLast();
        }
        String text = String.join("  ", fields);
        int cells = Math.min(MAX_BAR, width - text.length() - 3);
        if (cells < MIN_BAR) {
            return text.length() > width ? text.substring(0, width) : text;
        }
        int full =
                (int)
                        (cells
                                * Math.clamp(
                                        now.step() / (double) Math.max(1, now.totalSteps()), 0, 1));
        return "[" + "=".repeat(full) + " ".repeat(cells - full) + "] " + text;
    }

    /** The line of a log file. */
    static String plain(Progress now, long firstStep) {
        String memory =
                now.residentBytes() == 0
                        ? ""
                        : "  resident %s (peak %s)"
                                .formatted(
                                        ByteSize.text(now.residentBytes()),
                                        ByteSize.text(now.peakBytes()));
        return "step %s  loss %s  %s tokens/s%s  %s elapsed  %s left"
                .formatted(
                        count(now),
                        loss(now.loss()),
                        rate(now.tokensPerSecond()),
                        memory,
                        clock(now.elapsed()),
                        timeLeft(now, firstStep));
    }

    private static String count(Progress now) {
        return "%d/%d".formatted(now.step(), now.totalSteps());
    }

    private static String loss(double loss) {
        return Double.isNaN(loss)
                ? "NaN"
                : String.format(Locale.ROOT, Math.abs(loss) < 1000 ? "%.4f" : "%.3e", loss);
    }

    private static String rate(double perSecond) {
        return String.format(Locale.ROOT, perSecond < 10 ? "%.1f" : "%.0f", perSecond);
    }

    /**
     * The steps to come, each as long as this process's steps were on average; "?" before the
     * first.
     */
    private static String timeLeft(Progress now, long firstStep) {
        long done = now.step() - firstStep;
        if (done <= 0) {
            return "?";
        }
        double millis = now.elapsed().toMillis() / (double) done * (now.totalSteps() - now.step());
        return clock(Duration.ofMillis(Math.max(0, Math.round(millis))));
    }

    /** For example {@code 0:07}, {@code 12:34}, {@code 26:12:34}. */
    private static String clock(Duration time) {
        return time.toHours() > 0
                ? "%d:%02d:%02d"
                        .formatted(time.toHours(), time.toMinutesPart(), time.toSecondsPart())
                : "%d:%02d".formatted(time.toMinutes(), time.toSecondsPart());
    }
}
