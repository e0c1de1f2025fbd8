package org.qlora4j.template;

import java.util.Iterator;
import java.util.List;

/**
 * Python's generators and iterators: what {@code map} or {@code select} give; can be walked through
 * once.
 */
final class Lazy {
    private final Iterator<Object> items;

    Lazy(List<Object> items) {
        this.items = items.iterator();
    }

    /** What is left, always the same iterator. */
    Iterator<Object> items() {
        return items;
    }
}
