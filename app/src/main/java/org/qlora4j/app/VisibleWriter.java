package org.qlora4j.app;

import java.io.FilterWriter;
import java.io.IOException;
import java.io.Writer;

/**
 * Keeps text of strangers (a model's answer, a field's name, an adapter's) from steering a
 * terminal: control characters but tab and line feed are written as {@code \x1b}. What a status
 * line itself draws with carriage returns passes by {@link #own}.
 */
final class VisibleWriter extends FilterWriter {
    private static final ThreadLocal<Boolean> OWN = ThreadLocal.withInitial(() -> false);

    VisibleWriter(Writer out) {
        super(out);
    }

    /** Writes what this program means to control the terminal with. */
    static void own(Runnable write) {
        OWN.set(true);
        try {
            write.run();
        } finally {
            OWN.set(false);
        }
    }

    @Override
    public void write(int c) throws IOException {
        write(String.valueOf((char) c), 0, 1);
    }

    @Override
    public void write(char[] chars, int offset, int length) throws IOException {
        write(new String(chars, offset, length), 0, length);
    }

    @Override
    public void write(String text, int offset, int length) throws IOException {
        String part = text.substring(offset, offset + length);
        String seen = visible(part, OWN.get(), true);
        super.write(seen, 0, seen.length());
    }

    /**
     * A text with its control characters written out.
     *
     * @param returns whether carriage returns stay
     * @param bold whether bold print on and off, which the view of an example uses, stays
     */
    static String visible(String text, boolean returns, boolean bold) {
        StringBuilder out = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean windowsEnd = c == '\r' && i + 1 < text.length() && text.charAt(i + 1) == '\n';
            boolean passes = !steers(c) || c == '\n' || c == '\t' || windowsEnd;
            boolean isBold =
                    bold && (text.startsWith("\u001b[1m", i) || text.startsWith("\u001b[0m", i));
            if (passes || isBold || (c == '\r' && returns)) {
                out.append(c);
            } else {
                out.append(String.format(c < 0x100 ? "\\x%02x" : "\\u%04x", (int) c));
            }
        }
        return out.toString();
    }

    /** Control characters, and those that turn the order of what follows on the line. */
    private static boolean steers(char c) {
        return Character.isISOControl(c)
                || (c >= '\u202a' && c <= '\u202e')
                || (c >= '\u2066' && c <= '\u2069');
    }
}
