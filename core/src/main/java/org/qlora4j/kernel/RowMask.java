package org.qlora4j.kernel;

import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.Tensor;

/**
 * Which keys each row of a block of queries sees.
 *
 * @param rows query rows
 * @param keys keys
 * @param hidden BOOL [rows, keys]: true where a key is not seen; null if all are seen
 * @param visible for each row how many keys it sees, where these are the first ones; null where
 *     they are not
 * @param emptyRows whether some row sees nothing at all
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record RowMask(
        int rows, int keys, @Nullable Tensor hidden, int @Nullable [] visible, boolean emptyRows) {
    /** A mask of rows that see every key. */
    public static RowMask open(int rows, int keys) {
        return new RowMask(rows, keys, null, null, false);
    }
}
