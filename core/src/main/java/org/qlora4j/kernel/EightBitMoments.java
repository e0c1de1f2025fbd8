package org.qlora4j.kernel;

import org.qlora4j.tensor.Tensor;

/**
 * The two running means of Adam for one tensor of n weights, in 8 bits (arXiv 2110.02861): a code
 * for each element, which names an entry of a table of 256 rising values, times the largest
 * magnitude of its block of {@link #BLOCK}. The last block may be shorter. Who made the tensors
 * owns them.
 *
 * @param codes1 U8 [n]: codes of the mean of gradients
 * @param absmax1 F32 [ceil(n / 256)]
 * @param table1 its table, with negative entries
 * @param codes2 U8 [n]: codes of the mean of squared gradients
 * @param absmax2 F32 [ceil(n / 256)]
 * @param table2 its table, without negative entries
 */
public record EightBitMoments(
        Tensor codes1,
        Tensor absmax1,
        EightBitTable table1,
        Tensor codes2,
        Tensor absmax2,
        EightBitTable table2) {
    /** Elements that share a scale. */
    public static final int BLOCK = 256;

    /** Blocks of so many elements. */
    public static long blocks(long elements) {
        return (elements + BLOCK - 1) / BLOCK;
    }
}
