package org.qlora4j.template;

import java.util.Iterator;
import java.util.List;

/**
 * Python's generators and iterators: what {@code map} or {@code select} give; can be walked through
 * once.
 */
final class Lazy {
    private final Iterator<Object> items;
    private final List<Object> all;

    Lazy(List<Object> items) {
        this.all = items;
        this.items = items.iterator();
    }

    /** Everything, what was walked through too: it is held as long as the iterator is. */
    List<Object> all() {
        return all;
    }

    /** What is left, always the same iterator. */
    Iterator<Object> items() {
        return items;
    }
}
