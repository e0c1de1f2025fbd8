package org.qlora4j.app;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.LocalTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;

/**
 * Log records to stderr: warnings only, a line each; with {@code --verbose} also what qlora4j chose
 * and why, with time, origin and stack traces. Set up in code, so that no file of the JDK or the
 * user changes what a run prints.
 */
final class Logging {
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("HH:mm:ss.SSS", Locale.ROOT);

    private final PrintWriter err;
    // java.util.logging forgets the level of a logger that nobody holds
    private final Logger own = Logger.getLogger("org.qlora4j");
    private final List<Runnable> beforeEachRecord = new CopyOnWriteArrayList<>();

    Logging(PrintWriter err) {
        this.err = err;
    }

    /** Replaces all handlers of the JVM by one that writes here. */
    void start(boolean verbose) {
        LogManager.getLogManager().reset();
        Logger root = Logger.getLogger("");
        root.setLevel(verbose ? Level.INFO : Level.WARNING);
        own.setLevel(verbose ? Level.FINE : Level.WARNING);
        var handler = new StderrHandler(verbose);
        handler.setLevel(Level.ALL);
        root.addHandler(handler);
    }

    /** Runs before each record is printed, e.g. {@link ProgressLine#clear}. */
    void beforeEachRecord(Runnable action) {
        beforeEachRecord.add(action);
    }

    /** One line of the default form, e.g. {@code qlora: warning: no Vector API, ...}. */
    static String plain(LogRecord record) {
        String message = text(record);
        Throwable thrown = record.getThrown();
        String cause = thrown == null ? "" : " (" + thrown + ")";
        String level =
                record.getLevel().intValue() >= Level.SEVERE.intValue() ? "error" : "warning";
        return "qlora: %s: %s".formatted(level, Failure.oneLine(message + cause));
    }

    /** One line with time, level and origin, then the stack trace if there is one. */
    static String verbose(LogRecord record) {
        var text = new StringWriter();
        var out = new PrintWriter(text);
        String time = TIME.format(LocalTime.ofInstant(record.getInstant(), ZoneId.systemDefault()));
        String message = Failure.oneLine(text(record));
        out.printf(
                "%s %-7s %s: %s",
                time, record.getLevel().getName(), record.getLoggerName(), message);
        if (record.getThrown() != null) {
            out.println();
            record.getThrown().printStackTrace(out);
        }
        return text.toString().stripTrailing();
    }

    private static String text(LogRecord record) {
        return new SimpleFormatter().formatMessage(record);
    }

    private final class StderrHandler extends Handler {
        private final boolean verbose;

        StderrHandler(boolean verbose) {
            this.verbose = verbose;
        }

        @Override
        public void publish(LogRecord record) {
            if (!isLoggable(record)) {
                return;
            }
            beforeEachRecord.forEach(Runnable::run);
            err.println(verbose ? verbose(record) : plain(record));
            err.flush();
        }

        @Override
        public void flush() {
            err.flush();
        }

        @Override
        public void close() {}
    }
}
