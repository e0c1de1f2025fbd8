package org.qlora4j.autograd;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.RowMask;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Which keys a query sees: those at or before its own position that are not padding. Made once for
 * a batch and shared by all layers; it keeps its pieces until it is closed.
 */
public final class AttentionMask implements AutoCloseable {
    private final int batch;
    private final int queries;
    private final int keys;
    private final int past;
    private final byte @Nullable [] visibleKeys;
    private final Map<Long, RowMask> pieces = new HashMap<>();

    /**
     * @param queries query positions, the last ones of the sequence
     * @param keys key positions, {@code queries} or more
     * @param visibleKeys [batch, keys]: 0 for padding; null if there is none
     */
    public AttentionMask(int batch, int queries, int keys, byte @Nullable [] visibleKeys) {
        this.batch = batch;
        this.queries = queries;
        this.keys = keys;
        this.past = keys - queries;
        this.visibleKeys = visibleKeys;
        if (visibleKeys != null && visibleKeys.length != batch * keys) {
            throw new IllegalArgumentException(
                    "attention mask of %d entries for %d x %d keys"
                            .formatted(visibleKeys.length, batch, keys));
        }
    }

    public int batch() {
        return batch;
    }

    /** Throws unless q [batch, queries, …] and k [batch, keys, …] have the sizes of this mask. */
    void requireFit(Tensor q, Tensor k) {
        if (q.size(0) != batch || q.size(1) != queries || k.size(0) != batch || k.size(1) != keys) {
            throw new IllegalArgumentException(
                    "attention: queries %s and keys %s do not fit a mask of %d x %d queries and %d keys"
                            .formatted(q, k, batch, queries, keys));
        }
    }

    /** One past the last key that rows before {@code toRow} can see. */
    int lastKey(int toRow) {
        return past + toRow;
    }

    /** The mask of rows [fromRow, toRow) of one sequence over keys [0, lastKey(toRow)). */
    RowMask piece(int sequence, int fromRow, int toRow) {
        long key = visibleKeys == null ? fromRow : (long) sequence * queries + fromRow;
        return pieces.computeIfAbsent(key, k -> make(sequence, fromRow, toRow));
    }

    private RowMask make(int sequence, int fromRow, int toRow) {
        int last = lastKey(toRow);
        if (visibleKeys == null && toRow - fromRow == 1) { // a step of generation
            return RowMask.open(1, last);
        }
        byte[] hidden = new byte[(toRow - fromRow) * last];
        int[] visibleOfRow = new int[toRow - fromRow];
        boolean prefixes = true;
        boolean any = false;
        boolean emptyRows = false;
        for (int row = fromRow; row < toRow; row++) {
            int seen = 0;
            for (int key = 0; key < last; key++) {
                boolean visible =
                        key <= past + row
                                && (visibleKeys == null || visibleKeys[sequence * keys + key] != 0);
                if (visible) {
                    prefixes &= seen == key;
                    seen++;
                } else {
                    hidden[(row - fromRow) * last + key] = 1;
                    any = true;
                }
            }
            visibleOfRow[row - fromRow] = seen;
            emptyRows |= seen == 0;
        }
        if (!any) {
            return RowMask.open(toRow - fromRow, last);
        }
        try (TensorScope scope = TensorScope.open()) {
            Tensor mask = Tensors.of(hidden, toRow - fromRow, last).to(DType.BOOL);
            return new RowMask(
                    toRow - fromRow,
                    last,
                    TensorScope.release(mask),
                    prefixes ? visibleOfRow : null,
                    emptyRows);
        }
    }

    @Override
    public void close() {
        for (RowMask piece : pieces.values()) {
            if (piece.hidden() != null) {
                piece.hidden().close();
            }
        }
        pieces.clear();
    }
}
