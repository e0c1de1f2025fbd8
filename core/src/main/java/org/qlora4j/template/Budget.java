package org.qlora4j.template;

import java.lang.management.ManagementFactory;
import java.util.Collection;
import java.util.function.LongSupplier;
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

    /** Time of one rendering, of its thread's own work. */
    static final long MAX_NANOS = 2_000_000_000L;

    /** Time of one rendering by the clock on the wall, however busy the machine is. */
    private static final long MAX_WALL_NANOS = 2 * MAX_NANOS;

    /** Bytes of what a rendering has made and still holds, about. */
    static final long MAX_BYTES = 64 << 20;

    /** Bytes of an item of a list: a reference and a small object. */
    static final int ITEM_BYTES = 40;

    /** Characters of one text, the rendered prompt among them. */
    static final int MAX_TEXT = 16 << 20;

    /** Items of one list. */
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

    /** Steps between two looks at the clock. */
    private static final int CLOCK = 256;

    private final long start = System.nanoTime();
    private final long cpuStart = cpuNanos();
    private LongSupplier liveBytes = () -> 0;
    private long steps = 0;
    private long nextLook = CLOCK;
    private long held = 0;
    private long live = 0;
    private long made = 0;
    private int depth = 0;

    /**
     * Says how to measure what the template's variables hold.
     *
     * @param bytes takes work itself, which it counts
     */
    void measureLive(LongSupplier bytes) {
        this.liveBytes = bytes;
    }

    /** Counts work on so many characters or items. */
    void work(long size) {
        long more = 1 + Math.max(0, size) / SIZE_OF_STEP;
        if (size < 0 || more > MAX_STEPS || (steps += more) > MAX_STEPS) {
            throw limit("the template takes more than " + MAX_STEPS + " steps");
        }
        if (steps >= nextLook) {
            nextLook = steps + CLOCK;
            lookAtClock();
        }
    }

    private void lookAtClock() {
        long wall = System.nanoTime() - start;
        boolean late = wall > MAX_NANOS && cpuNanos() - cpuStart > MAX_NANOS;
        if (late || wall > MAX_WALL_NANOS) {
            throw limit("the template takes more than " + MAX_NANOS / 1_000_000_000 + " seconds");
        }
        if (Thread.currentThread().isInterrupted()) {
            throw limit("the thread was interrupted while the template was rendered");
        }
    }

    private static long cpuNanos() {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }

    /**
     * Counts memory that is made. Where all that was made since the last measurement would be too
     * much, what of it is still held is measured.
     */
    void make(long bytes) {
        made += Math.max(0, bytes);
        if (live + held + made > MAX_BYTES) {
            made = 0;
            live = liveBytes.getAsLong();
            if (live + held + Math.max(0, bytes) > MAX_BYTES) {
                throw limit("the template holds more than " + (MAX_BYTES >> 20) + " MiB at once");
            }
        }
    }

    /** Counts memory that no variable holds yet; {@link #release} takes it back. */
    void hold(long bytes) {
        held += bytes;
        make(0);
    }

    void release(long bytes) {
        held -= bytes;
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
        make(2 * length);
    }

    /** Checks the size of a list before it is made. */
    void items(long size) {
        if (size > MAX_ITEMS) {
            throw limit("the template makes a list of more than " + MAX_ITEMS + " items");
        }
        work(size);
        make(ITEM_BYTES * size);
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
            hold(2L * part.length());
            builder.append(part);
            return this;
        }

        Text appendRepeated(String part, long times) {
            boolean tooMany = times > MAX_TEXT && !part.isEmpty();
            text(tooMany ? MAX_TEXT + 1L : part.length() * Math.max(0, times));
            return part.isEmpty() ? this : append(part.repeat((int) Math.max(0, times)));
        }

        int length() {
            return builder.length();
        }

        /** The text, which from now on is the taker's. */
        @Override
        public String toString() {
            release(2L * builder.length());
            make(2L * builder.length());
            return builder.toString();
        }
    }
}
