package org.qlora4j.template;

import java.util.Collection;
import org.qlora4j.template.TemplateError.Kind;

/**
 * What one rendering may use. A template comes from strangers: it must not be able to hang the
 * program, fill its memory or overflow its stack. The bounds lie far above any real chat.
 */
final class Budget {
    /**
     * Operations; an operation on long text or a long list counts as several. About a second of
     * work or two.
     */
    static final long MAX_STEPS = 20_000_000;

    /** Characters of one text, the rendered prompt among them. */
    static final int MAX_TEXT = 16 << 20;

    /** Items of a list made by repetition. */
    static final int MAX_ITEMS = 1 << 20;

    /** Items of {@code range}, as in Jinja2's sandbox. */
    static final int MAX_RANGE = 100_000;

    /** Bits of an integer: about the 4300 digits that Python agrees to print. */
    static final int MAX_BITS = 14_000;

    /** Expressions, blocks and macro calls inside one another while rendering. */
    static final int MAX_DEPTH = 600;

    /** Lists and dictionaries inside one another, where a value is printed or compared. */
    static final int MAX_VALUE_DEPTH = 200;

    /** Characters or items that an operation handles for the price of one step. */
    static final int SIZE_OF_STEP = 64;

    private long steps = 0;
    private int depth = 0;

    /** Counts work on so many characters or items. */
    void work(long size) {
        steps += 1 + size / SIZE_OF_STEP;
        if (steps > MAX_STEPS) {
            throw limit("the template takes more than " + MAX_STEPS + " steps");
        }
    }

    /** Counts work on a value, by its size. */
    void workOn(Object value) {
        work(
                value instanceof String s
                        ? s.length()
                        : value instanceof Collection<?> c ? c.size() : 1);
    }

    void enter() {
        if (++depth > MAX_DEPTH) {
            throw limit(
                    "the template is nested more than "
                            + MAX_DEPTH
                            + " deep; does a macro call itself?");
        }
        work(1);
    }

    void leave() {
        depth--;
    }

    /** Checks the length of a text before it is made. */
    void text(long length) {
        if (length > MAX_TEXT) {
            throw limit("the template makes a text of more than " + MAX_TEXT + " characters");
        }
        work(length);
    }

    /** Checks the size of a list before it is made. */
    void items(long size) {
        if (size > MAX_ITEMS) {
            throw limit("the template makes a list of more than " + MAX_ITEMS + " items");
        }
        work(size);
    }

    /** Checks how deep a value is nested. */
    void valueDepth(int levels) {
        if (levels > MAX_VALUE_DEPTH) {
            throw limit("a value is nested more than " + MAX_VALUE_DEPTH + " deep");
        }
    }

    void bits(long length) {
        if (length > MAX_BITS) {
            throw limit("the template makes an integer of more than " + MAX_BITS + " bits");
        }
    }

    /** A text to append to, under the bound of {@link #text}. */
    Text newText() {
        return new Text();
    }

    private static TemplateError limit(String message) {
        return TemplateError.of(Kind.LIMIT, "%s", message);
    }

    /** Text that grows no longer than {@link #MAX_TEXT}. */
    final class Text {
        private final StringBuilder builder = new StringBuilder();

        Text append(String part) {
            work(part.length());
            if (builder.length() + (long) part.length() > MAX_TEXT) {
                text(MAX_TEXT + 1L);
            }
            builder.append(part);
            return this;
        }

        Text appendRepeated(String part, long times) {
            text(part.length() * Math.max(0, times));
            return append(part.repeat((int) Math.max(0, times)));
        }

        int length() {
            return builder.length();
        }

        @Override
        public String toString() {
            return builder.toString();
        }
    }
}
