package org.qlora4j.template;

import java.util.AbstractList;
import java.util.Objects;

/** Python's range: numbers computed when asked for. */
final class Range extends AbstractList<Object> {
    private final long start;
    private final long stop;
    private final long step;
    private final int size;

    /** The numbers from start, by step, up to but without stop; the size must fit an int. */
    Range(long start, long stop, long step) {
        this.start = start;
        this.stop = stop;
        this.step = step;
        this.size = Math.toIntExact(size(start, stop, step));
    }

    static long size(long start, long stop, long step) {
        long span = step > 0 ? Math.subtractExact(stop, start) : Math.subtractExact(start, stop);
        return span <= 0 ? 0 : (span - 1) / Math.abs(step) + 1;
    }

    @Override
    public Object get(int index) {
        return start + step * Objects.checkIndex(index, size);
    }

    @Override
    public int size() {
        return size;
    }

    /** As Python prints it, such as {@code range(0, 5)}. */
    String repr() {
        return "range(" + start + ", " + stop + (step == 1 ? ")" : ", " + step + ")");
    }
}
