package org.qlora4j.data;

import java.util.AbstractList;
import java.util.Arrays;
import java.util.RandomAccess;

/** Some examples of a store in some order, of which memory holds the places alone. */
final class ExampleList extends AbstractList<Example> implements RandomAccess {
    private final ExampleStore store;
    private final int[] order;

    /**
     * @param order places in the store, not copied
     */
    ExampleList(ExampleStore store, int[] order) {
        this.store = store;
        this.order = order;
    }

    @Override
    public Example get(int index) {
        return store.get(order[index]);
    }

    @Override
    public int size() {
        return order.length;
    }

    /** Tokens of each example, none of which is read. */
    int[] lengths() {
        int[] lengths = new int[order.length];
        Arrays.setAll(lengths, i -> store.length(order[i]));
        return lengths;
    }
}
