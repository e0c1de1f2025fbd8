package org.qlora4j.model;

import org.qlora4j.autograd.Attention;
import org.qlora4j.autograd.AttentionMask;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Keys and values of the positions a model has already seen, for each layer [batch, capacity,
 * kvHeads, headDim], allocated once. The owner closes it.
 */
public final class KeyValueCache implements PastKeyValues, AutoCloseable {
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

    @Override
    public Rotary.Table angles(Tape tape, RotaryTables rotary, int time) {
        return rotary.at(tape, length, time);
    }

    /** Writes the new keys and values behind those held, and attends over views of all. */
    @Override
    public Var attend(Tape tape, int layer, Var q, Var k, Var v, AttentionMask mask) {
        Var allKeys = tape.constant(tape.keep(append(keys[layer], k.value())));
        Var allValues = tape.constant(tape.keep(append(values[layer], v.value())));
        return Attention.apply(tape, q, allKeys, allValues, mask);
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

    @Override
    public void advance(int time) {
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
