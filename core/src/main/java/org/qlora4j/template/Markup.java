package org.qlora4j.template;

/**
 * Text that {@code safe} or {@code escape} marked as HTML. It prints and behaves as its text, but
 * {@code +} escapes what is added to it, which is all that Jinja2 makes of it where autoescaping is
 * off.
 */
record Markup(String text) {
    static Markup escape(Object value, Printer printer) {
        return value instanceof Markup markup ? markup : new Markup(escape(printer.text(value)));
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;")
                .replace(">", "&gt;")
                .replace("<", "&lt;")
                .replace("'", "&#39;")
                .replace("\"", "&#34;");
    }

    /** The plain text of marked text; any other value as it is. */
    static Object plain(Object value) {
        return value instanceof Markup markup ? markup.text() : value;
    }
}
