package org.qlora4j.error;

/** A value as messages show it. */
public final class Shown {
    private static final int MOST = 60;

    private Shown() {}

    /** The value as text, cut with dots behind 60 characters. */
    public static String of(Object value) {
        String text = value.toString();
        return text.length() <= MOST ? text : text.substring(0, MOST - 3) + "...";
    }
}
