package org.qlora4j.generate;

import org.qlora4j.tensor.Tensor;

/**
 * Keys and values of the beginning of texts, kept from one pass of a {@link TextScorer} to the
 * next. The owner closes it.
 *
 * @param length positions
 * @param keys by layer, [1, length, kvHeads, headDim]
 * @param values by layer, likewise
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record HeldPrefix(int length, Tensor[] keys, Tensor[] values) implements AutoCloseable {
    static final HeldPrefix NONE = new HeldPrefix(0, new Tensor[0], new Tensor[0]);

    static HeldPrefix of(int length, int layers) {
        return length == 0 ? NONE : new HeldPrefix(length, new Tensor[layers], new Tensor[layers]);
    }

    @Override
    public void close() {
        for (int layer = 0; layer < keys.length; layer++) {
            if (keys[layer] != null) {
                keys[layer].close();
                values[layer].close();
            }
        }
    }
}
