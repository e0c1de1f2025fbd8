package org.qlora4j.template;

import java.util.AbstractList;
import java.util.List;

/** Python's tuple: a list that prints in parentheses and never equals a list. */
final class Tuple extends AbstractList<Object> {
    private final List<Object> items;

    /**
     * Whether this is a group of the {@code groupby} filter, with the fields {@code grouper} and
     * {@code list}.
     */
    private final boolean group;

    private Tuple(List<Object> items, boolean group) {
        this.items = items;
        this.group = group;
    }

    static Tuple of(Object... items) {
        return new Tuple(List.of(items), false);
    }

    static Tuple copyOf(List<Object> items) {
        return new Tuple(List.copyOf(items), false);
    }

    static Tuple group(Object grouper, List<Object> list) {
        return new Tuple(List.of(grouper, list), true);
    }

    boolean isGroup() {
        return group;
    }

    @Override
    public Object get(int index) {
        return items.get(index);
    }

    @Override
    public int size() {
        return items.size();
    }
}
