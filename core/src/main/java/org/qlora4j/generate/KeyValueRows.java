package org.qlora4j.generate;

import static java.util.Objects.requireNonNull;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.StreamAttention;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Keys and values of all layers, in a store for each row. It is as long as the row's text asks for,
 * and keeps what it holds when it grows. The owner closes it.
 */
final class KeyValueRows implements AutoCloseable {
    private static final int BLOCK = StreamAttention.BLOCK;

    private final int kvHeads;
    private final int headDim;
    private final DType dtype;
    // by layer and row, as StreamAttention lays them out; null for a row without a store
    private final @Nullable Tensor[][] keys;
    private final @Nullable Tensor[][] values;
    private final int[] capacities;
    private long bytes;
    private long peak;

    KeyValueRows(int layers, int rows, int kvHeads, int headDim, DType dtype) {
        this.kvHeads = kvHeads;
        this.headDim = headDim;
        this.dtype = dtype;
        this.keys = new @Nullable Tensor[layers][rows];
        this.values = new @Nullable Tensor[layers][rows];
        this.capacities = new int[rows];
    }

    /** Rows, those without a store too. */
    int count() {
        return capacities.length;
    }

    /** Positions that a row has room for. */
    int capacity(int row) {
        return capacities[row];
    }

    /** Bytes of all stores. */
    long bytes() {
        return bytes;
    }

    /** Most bytes that there ever were at once. */
    long peakBytes() {
        return peak;
    }

    /** A layer's keys, by row. */
    @Nullable Tensor[] keys(int layer) {
        return keys[layer];
    }

    /** A layer's values, by row. */
    @Nullable Tensor[] values(int layer) {
        return values[layer];
    }

    /** Whole blocks, counted in positions. */
    static int whole(int positions) {
        return Math.ceilDiv(positions, BLOCK) * BLOCK;
    }

    /** Gives a row's store room for so many positions at least. */
    void reserve(int row, int positions) {
        int wanted = whole(positions);
        if (wanted <= capacities[row]) {
            return;
        }
        try (TensorScope scope = TensorScope.open()) {
            for (int i = 0; i < keys.length; i++) {
                Tensor made = Tensors.empty(dtype, kvHeads, wanted / BLOCK, headDim, BLOCK);
                keys[i][row] = grown(keys[i][row], made);
                values[i][row] =
                        grown(values[i][row], Tensors.empty(dtype, kvHeads, wanted, headDim));
            }
        }
        capacities[row] = wanted;
    }

    private Tensor grown(@Nullable Tensor old, Tensor made) {
        bytes += made.byteSize();
        peak = Math.max(peak, bytes);
        if (old != null) {
            made.narrow(1, 0, old.size(1)).copyFrom(old);
            bytes -= old.byteSize();
            old.close();
        }
        return TensorScope.release(made);
    }

    /** Frees a row's store. */
    void drop(int row) {
        for (int i = 0; i < keys.length; i++) {
            keys[i][row] = freed(keys[i][row]);
            values[i][row] = freed(values[i][row]);
        }
        capacities[row] = 0;
    }

    private @Nullable Tensor freed(@Nullable Tensor store) {
        if (store != null) {
            bytes -= store.byteSize();
            store.close();
        }
        return null;
    }

    /** Gives a row the first positions of another. */
    void copy(int from, int to, int positions) {
        reserve(to, positions);
        for (int i = 0; i < keys.length; i++) {
            copy(keys[i], from, to, Math.ceilDiv(positions, BLOCK));
            copy(values[i], from, to, positions);
        }
    }

    private static void copy(@Nullable Tensor[] stores, int from, int to, int count) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor source = requireNonNull(stores[from]).narrow(1, 0, count);
            requireNonNull(stores[to]).narrow(1, 0, count).copyFrom(source);
        }
    }

    /** Changes the places of two rows. */
    void exchange(int one, int other) {
        for (int i = 0; i < keys.length; i++) {
            exchange(keys[i], one, other);
            exchange(values[i], one, other);
        }
        int capacity = capacities[one];
        capacities[one] = capacities[other];
        capacities[other] = capacity;
    }

    private static void exchange(@Nullable Tensor[] stores, int one, int other) {
        Tensor first = stores[one];
        stores[one] = stores[other];
        stores[other] = first;
    }

    /** The first keys of a row and new ones behind them, [1, past + time, kvHeads, headDim]. */
    Tensor withKeys(int layer, int row, int past, Tensor added) {
        int blocks = Math.ceilDiv(past, BLOCK);
        try (TensorScope scope = TensorScope.open()) {
            Tensor held =
                    requireNonNull(keys[layer][row])
                            .narrow(1, 0, blocks)
                            .permute(1, 3, 0, 2)
                            .reshape((long) blocks * BLOCK, kvHeads, headDim)
                            .narrow(0, 0, past);
            return scope.promote(behind(held, added));
        }
    }

    /** As {@link #withKeys} for values. */
    Tensor withValues(int layer, int row, int past, Tensor added) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor held = requireNonNull(values[layer][row]).narrow(1, 0, past).transpose(0, 1);
            return scope.promote(behind(held, added));
        }
    }

    private Tensor behind(Tensor held, Tensor added) {
        Tensor all = Tensors.cat(List.of(held, added.view(-1, kvHeads, headDim)), 0);
        return all.view(1, all.size(0), kvHeads, headDim);
    }

    /**
     * Writes keys and values of [1, …, kvHeads, headDim] to a row, which has room for them.
     *
     * @param held how many of the first the row has already; those of a block begun are written
     *     again
     * @param time where to stop
     */
    void write(int layer, int row, Tensor k, Tensor v, int held, int time) {
        int first = held / BLOCK;
        int whole = time / BLOCK - first;
        int rest = time % BLOCK;
        try (TensorScope scope = TensorScope.open()) {
            Tensor rowKeys = requireNonNull(keys[layer][row]); // [kvHeads, blocks, headDim, 16]
            Tensor all = k.view(-1, kvHeads, headDim);
            if (whole > 0) {
                rowKeys.narrow(1, first, whole)
                        .copyFrom(
                                all.narrow(0, (long) first * BLOCK, (long) whole * BLOCK)
                                        .view(whole, BLOCK, kvHeads, headDim)
                                        .permute(2, 0, 3, 1));
            }
            if (rest > 0) {
                rowKeys.select(1, first + whole)
                        .narrow(2, 0, rest)
                        .copyFrom(all.narrow(0, time - rest, rest).permute(1, 2, 0));
            }
            requireNonNull(values[layer][row])
                    .narrow(1, held, time - held)
                    .copyFrom(
                            v.view(-1, kvHeads, headDim)
                                    .narrow(0, held, time - held)
                                    .transpose(0, 1));
        }
    }

    @Override
    public void close() {
        for (int row = 0; row < capacities.length; row++) {
            drop(row);
        }
    }
}
