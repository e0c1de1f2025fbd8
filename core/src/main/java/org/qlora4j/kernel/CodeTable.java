package org.qlora4j.kernel;

/**
 * A 4-bit data type, as kernels need it.
 *
 * @param levels value of each of the 16 codes
 * @param thresholds the 15 decision boundaries in rising order: a value's position is the number of
 *     boundaries strictly below it, so that a tie takes the lower level
 * @param codeOfPosition code of each of the 16 positions, which follow the levels in rising order
 */
public record CodeTable(float[] levels, float[] thresholds, byte[] codeOfPosition) {
    public CodeTable {
        if (levels.length != 16 || thresholds.length != 15 || codeOfPosition.length != 16) {
            throw new IllegalArgumentException(
                    "a 4-bit type has 16 levels, 15 thresholds and 16 positions");
        }
    }

    /** Code of a value already divided by its block's absmax. */
    int code(float x) {
        int position = 0;
        while (position < 15 && x > thresholds[position]) {
            position++;
        }
        return codeOfPosition[position];
    }
}
