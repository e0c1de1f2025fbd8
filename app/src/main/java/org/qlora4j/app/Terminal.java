package org.qlora4j.app;

import java.io.Console;
import java.util.Map;

/**
 * What stands at the end of stdout.
 *
 * @param interactive whether a person watches, so that a line may be drawn over
 * @param columns width in characters
 */
record Terminal(boolean interactive, int columns) {
    private static final int DEFAULT_COLUMNS = 80;
    private static final int MIN_COLUMNS = 20;

    /** The terminal of this process as it is now, as wide as its window. */
    static Terminal current() {
        Terminal asked = told();
        return asked.interactive()
                ? new Terminal(
                        true, Math.max(MIN_COLUMNS, WindowSize.columns().orElse(asked.columns())))
                : asked;
    }

    /** Whether a person watches; for this the window's width need not be found out. */
    static boolean isWatched() {
        return told().interactive();
    }

    /**
     * As it was when the process began. The launcher has asked the shell; without it Java knows
     * only stdin and stdout together.
     */
    @SuppressWarnings("SystemConsoleNull") // null again in JDK 25 without a terminal (JDK-8351435)
    static Terminal told() {
        Console console = System.console();
        String told = System.getProperty("qlora.terminal");
        boolean terminal =
                told == null ? console != null && console.isTerminal() : Boolean.parseBoolean(told);
        return of(terminal, System.getenv());
    }

    /** Whether bold print is wanted: a person watches, and has not set NO_COLOR (no-color.org). */
    boolean styled() {
        return styled(System.getenv());
    }

    boolean styled(Map<String, String> environment) {
        return interactive && environment.getOrDefault("NO_COLOR", "").isEmpty();
    }

    static Terminal of(boolean terminal, Map<String, String> environment) {
        boolean dumb = "dumb".equals(environment.get("TERM"));
        return new Terminal(terminal && !dumb, columns(environment.getOrDefault("COLUMNS", "")));
    }

    private static int columns(String text) {
        return text.matches("[1-9][0-9]{0,3}")
                ? Math.max(MIN_COLUMNS, Integer.parseInt(text))
                : DEFAULT_COLUMNS;
    }
}
