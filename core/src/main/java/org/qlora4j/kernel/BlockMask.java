package org.qlora4j.kernel;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Which keys each row of a block of queries sees: a run of them, for each sequence and row, and of
 * this run those that are no padding. Keys are counted from the first of the block.
 */
public final class BlockMask implements AutoCloseable {
    private final int sequences;
    private final int rows;
    private final int keys;
    private final int[] first;
    private final int[] end;
    private final byte @Nullable [] visible;
    private final boolean open;
    private @Nullable Tensor hidden;

    /**
     * @param sequences sequences of the block
     * @param rows query rows of each
     * @param keys keys of each
     * @param first [sequences, rows]: the first key a row sees
     * @param end [sequences, rows]: one past the last key it sees; {@code first} if it sees none
     * @param visible [sequences, keys]: 0 where no row sees a key, even within its run; null if
     *     there are no such holes
     */
    public BlockMask(
            int sequences, int rows, int keys, int[] first, int[] end, byte @Nullable [] visible) {
        this.sequences = sequences;
        this.rows = rows;
        this.keys = keys;
        this.first = first;
        this.end = end;
        this.visible = visible;
        boolean all = visible == null;
        for (int row = 0; row < first.length && all; row++) {
            all = first[row] == 0 && end[row] == keys;
        }
        this.open = all;
    }

    /** A mask of rows that see every key. */
    public static BlockMask open(int rows, int keys) {
        int[] end = new int[rows];
        Arrays.fill(end, keys);
        return new BlockMask(1, rows, keys, new int[rows], end, null);
    }

    public int sequences() {
        return sequences;
    }

    public int rows() {
        return rows;
    }

    public int keys() {
        return keys;
    }

    /** The first key that a row sees; rows are counted over all sequences. */
    int first(int row) {
        return first[row];
    }

    /** One past the last key that a row sees. */
    int end(int row) {
        return end[row];
    }

    /** Whether no row's run has a hole. */
    boolean runs() {
        return visible == null;
    }

    /** Whether a row sees a key. */
    boolean sees(int row, int key) {
        return key >= first[row]
                && key < end[row]
                && (visible == null || visible[row / rows * keys + key] != 0);
    }

    /** Whether some row sees nothing at all. */
    boolean hasEmptyRows() {
        for (int row = 0; row < first.length; row++) {
            boolean any = false;
            for (int key = first[row]; key < end[row] && !any; key++) {
                any = sees(row, key);
            }
            if (!any) {
                return true;
            }
        }
        return false;
    }

    /**
     * BOOL [sequences, 1, rows, keys]: true where a key is not seen; null if all are seen. Made
     * when first asked for; this mask owns it.
     */
    @Nullable Tensor hidden() {
        Tensor made = hidden;
        if (made == null && !open) {
            byte[] bytes = new byte[sequences * rows * keys];
            for (int row = 0; row < sequences * rows; row++) {
                for (int key = 0; key < keys; key++) {
                    bytes[row * keys + key] = (byte) (sees(row, key) ? 0 : 1);
                }
            }
            try (TensorScope scope = TensorScope.open()) {
                Tensor mask = Tensors.of(bytes, sequences, 1, rows, keys).to(DType.BOOL);
                made = TensorScope.release(mask);
            }
            hidden = made;
        }
        return made;
    }

    @Override
    public void close() {
        if (hidden != null) {
            hidden.close();
            hidden = null;
        }
    }
}
