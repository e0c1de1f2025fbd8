package org.qlora4j.app.chat;

/**
 * What is typed, as a message: a line that ends with a backslash goes on with the next, and lines
 * between triple quotes are one message.
 */
final class Typed {
    private static final String QUOTES = "\"\"\"";

    private Typed() {}

    /** Whether no further line belongs to it. */
    static boolean isWhole(String typed) {
        if (typed.stripLeading().startsWith(QUOTES)) {
            String behind = typed.stripLeading().substring(QUOTES.length());
            return behind.stripTrailing().endsWith(QUOTES);
        }
        return !typed.endsWith("\\");
    }

    /** The message, without the signs that held its lines together. */
    static String message(String typed) {
        String text = typed.strip();
        if (text.startsWith(QUOTES) && text.endsWith(QUOTES) && text.length() >= 6) {
            return text.substring(QUOTES.length(), text.length() - QUOTES.length()).strip();
        }
        return typed.replace("\\\n", "\n");
    }
}
