package org.qlora4j.model;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Keys and values of the positions a model has already seen, for each layer [batch, capacity,
 * kvHeads, headDim], allocated once. The owner closes it.
 */
public final class KeyValueCache implements AutoCloseable {
    private final Tensor[] keys;
    private final Tensor[] values;
    private final int capacity;
    private int length;

    /** Room for {@code capacity} positions. */
    KeyValueCache(int layers, int batch, int capacity, int kvHeads, int headDim, DType dtype) {
        this.capacity = capacity;
        this.keys = new Tensor[layers];
        this.values = new Tensor[layers];
        try (TensorScope scope = TensorScope.open()) {
            for (int i = 0; i < layers; i++) {
                keys[i] =
                        TensorScope.release(
                                Tensors.empty(dtype, batch, capacity, kvHeads, headDim));
                values[i] =
                        TensorScope.release(
                                Tensors.empty(dtype, batch, capacity, kvHeads, headDim));
            }
        }
    }

    /** Positions held. */
    public int length() {
        return length;
    }

    public int capacity() {
        return capacity;
    }

    /**
     * Writes new keys [batch, time, kvHeads * headDim], perhaps split into heads, behind those held
     * and returns a view of all.
     */
    Tensor appendKeys(int layer, Tensor added) {
        return append(keys[layer], added);
    }

    /** As {@link #appendKeys} for values. */
    Tensor appendValues(int layer, Tensor added) {
        return append(values[layer], added);
    }

    private Tensor append(Tensor store, Tensor added) {
        long time = added.size(1);
        if (length + time > capacity) {
            throw new IllegalStateException(
                    "the key-value cache holds %d positions, %d are asked for"
                            .formatted(capacity, length + time));
        }
        try (TensorScope scope = TensorScope.open()) {
            Tensor slot = store.narrow(1, length, time);
            slot.copyFrom(added.view(slot.shape()));
            return scope.promote(store.narrow(1, 0, length + time));
        }
    }

    /** Counts positions as held, once all layers have written them. */
    void advance(int time) {
        length += time;
    }

    /** Forgets positions from {@code newLength} on. */
    public void truncate(int newLength) {
        length = Math.min(length, newLength);
    }

    @Override
    public void close() {
        for (int i = 0; i < keys.length; i++) {
            keys[i].close();
            values[i].close();
        }
    }
}
