package org.qlora4j.kernel;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Products of small matrices that lie in the cache, four rows by one panel at a time: {@code C = A
 * · B}, the eight sums in registers. The strides of A and B are constants, as the JIT then drops
 * the bounds checks and unrolls the loop: 75 to 84 GFLOP/s a thread where strides in variables gave
 * 22, and OpenBLAS' product of large matrices 84 (AVX2).
 *
 * <p>B lies in panels: rows of {@link #PANEL} floats, one panel behind the other.
 */
final class TileProducts {
    /** Rows, and columns, of a tile at most; the row stride of A where it lies in rows. */
    static final int TILE = 64;

    /** Rows of A that are worked on at once. */
    static final int QUAD = 4;

    private static final VectorSpecies<Float> FLOATS = FloatMemory.FLOATS;
    private static final int LANES = FLOATS.length();

    /** Columns of B that are worked on at once. */
    static final int PANEL = 2 * LANES;

    private TileProducts() {}

    /** A width rounded up to whole panels. */
    static int wholePanels(int width) {
        return (width + PANEL - 1) / PANEL * PANEL;
    }

    /**
     * {@code C[i, :] = sum of A[i, k] * B[k, :]} for four i and k below n; A[i, k] at {@code aAt +
     * 4 * k + i}.
     */
    static void quads(float[] a, int aAt, float[] b, int bAt, int n, float[] c, int cAt, int row) {
        FloatVector c00 = FloatVector.zero(FLOATS);
        FloatVector c01 = c00;
        FloatVector c10 = c00;
        FloatVector c11 = c00;
        FloatVector c20 = c00;
        FloatVector c21 = c00;
        FloatVector c30 = c00;
        FloatVector c31 = c00;
        for (int k = 0; k < n; k++) {
            FloatVector b0 = FloatVector.fromArray(FLOATS, b, bAt + k * PANEL);
            FloatVector b1 = FloatVector.fromArray(FLOATS, b, bAt + k * PANEL + LANES);
            FloatVector x = FloatVector.broadcast(FLOATS, a[aAt + k * QUAD]);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(FLOATS, a[aAt + 1 + k * QUAD]);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(FLOATS, a[aAt + 2 + k * QUAD]);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(FLOATS, a[aAt + 3 + k * QUAD]);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
        }
        c00.intoArray(c, cAt);
        c01.intoArray(c, cAt + LANES);
        c10.intoArray(c, cAt + row);
        c11.intoArray(c, cAt + row + LANES);
        c20.intoArray(c, cAt + 2 * row);
        c21.intoArray(c, cAt + 2 * row + LANES);
        c30.intoArray(c, cAt + 3 * row);
        c31.intoArray(c, cAt + 3 * row + LANES);
    }

    /** As {@link #quads}, but added to C; A[i, k] at {@code aAt + 64 * i + k}. */
    static void addRows(
            float[] a, int aAt, float[] b, int bAt, int n, float[] c, int cAt, int row) {
        FloatVector c00 = FloatVector.fromArray(FLOATS, c, cAt);
        FloatVector c01 = FloatVector.fromArray(FLOATS, c, cAt + LANES);
        FloatVector c10 = FloatVector.fromArray(FLOATS, c, cAt + row);
        FloatVector c11 = FloatVector.fromArray(FLOATS, c, cAt + row + LANES);
        FloatVector c20 = FloatVector.fromArray(FLOATS, c, cAt + 2 * row);
        FloatVector c21 = FloatVector.fromArray(FLOATS, c, cAt + 2 * row + LANES);
        FloatVector c30 = FloatVector.fromArray(FLOATS, c, cAt + 3 * row);
        FloatVector c31 = FloatVector.fromArray(FLOATS, c, cAt + 3 * row + LANES);
        for (int k = 0; k < n; k++) {
            FloatVector b0 = FloatVector.fromArray(FLOATS, b, bAt + k * PANEL);
            FloatVector b1 = FloatVector.fromArray(FLOATS, b, bAt + k * PANEL + LANES);
            FloatVector x = FloatVector.broadcast(FLOATS, a[aAt + k]);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(FLOATS, a[aAt + TILE + k]);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(FLOATS, a[aAt + 2 * TILE + k]);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(FLOATS, a[aAt + 3 * TILE + k]);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
        }
        c00.intoArray(c, cAt);
        c01.intoArray(c, cAt + LANES);
        c10.intoArray(c, cAt + row);
        c11.intoArray(c, cAt + row + LANES);
        c20.intoArray(c, cAt + 2 * row);
        c21.intoArray(c, cAt + 2 * row + LANES);
        c30.intoArray(c, cAt + 3 * row);
        c31.intoArray(c, cAt + 3 * row + LANES);
    }

    /** As {@link #addRows}; A[i, k] at {@code aAt + 64 * k + i}: the transpose of a tile. */
    static void addColumns(
            float[] a, int aAt, float[] b, int bAt, int n, float[] c, int cAt, int row) {
        FloatVector c00 = FloatVector.fromArray(FLOATS, c, cAt);
        FloatVector c01 = FloatVector.fromArray(FLOATS, c, cAt + LANES);
        FloatVector c10 = FloatVector.fromArray(FLOATS, c, cAt + row);
        FloatVector c11 = FloatVector.fromArray(FLOATS, c, cAt + row + LANES);
        FloatVector c20 = FloatVector.fromArray(FLOATS, c, cAt + 2 * row);
        FloatVector c21 = FloatVector.fromArray(FLOATS, c, cAt + 2 * row + LANES);
        FloatVector c30 = FloatVector.fromArray(FLOATS, c, cAt + 3 * row);
        FloatVector c31 = FloatVector.fromArray(FLOATS, c, cAt + 3 * row + LANES);
        for (int k = 0; k < n; k++) {
            FloatVector b0 = FloatVector.fromArray(FLOATS, b, bAt + k * PANEL);
            FloatVector b1 = FloatVector.fromArray(FLOATS, b, bAt + k * PANEL + LANES);
            FloatVector x = FloatVector.broadcast(FLOATS, a[aAt + k * TILE]);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(FLOATS, a[aAt + 1 + k * TILE]);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(FLOATS, a[aAt + 2 + k * TILE]);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(FLOATS, a[aAt + 3 + k * TILE]);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
        }
        c00.intoArray(c, cAt);
        c01.intoArray(c, cAt + LANES);
        c10.intoArray(c, cAt + row);
        c11.intoArray(c, cAt + row + LANES);
        c20.intoArray(c, cAt + 2 * row);
        c21.intoArray(c, cAt + 2 * row + LANES);
        c30.intoArray(c, cAt + 3 * row);
        c31.intoArray(c, cAt + 3 * row + LANES);
    }

    // ---- laying out A and B

    /**
     * Rows as B: panels of their columns, [width / PANEL][rows][PANEL], zeros behind the last
     * column.
     *
     * @param at the first element of the first row
     * @param stride elements from row to row
     * @param rowsOfPanel rows that there is room for in a panel
     */
    static void panels(
            FloatMemory from,
            long at,
            long stride,
            int rows,
            int width,
            float factor,
            float[] into,
            int rowsOfPanel) {
        int whole = width / LANES * LANES;
        for (int r = 0; r < rows; r++) {
            long start = at + r * stride;
            for (int i = 0; i < whole; i += LANES) {
                int panel = i / PANEL;
                from.load(start + i)
                        .mul(factor)
                        .intoArray(into, (panel * rowsOfPanel + r) * PANEL + i % PANEL);
            }
            for (int i = whole; i < wholePanels(width); i++) {
                float value = i < width ? from.get(start + i) * factor : 0;
                into[(i / PANEL * rowsOfPanel + r) * PANEL + i % PANEL] = value;
            }
        }
    }

    /**
     * The transpose of rows as B: panels of rows, [rows / PANEL][width][PANEL], zeros behind the
     * last row.
     */
    static void panelsOfRows(
            FloatMemory from,
            long at,
            long stride,
            int rows,
            int width,
            float[] row,
            float[] into) {
        for (int r = 0; r < wholePanels(rows); r++) {
            int start = r / PANEL * width * PANEL + r % PANEL;
            if (r < rows) {
                readRow(from, at + r * stride, width, 1, row);
            }
            for (int i = 0; i < width; i++) {
                into[start + i * PANEL] = r < rows ? row[i] : 0;
            }
        }
    }

    /** Rows as A: four of them in turns, [rows / 4][width][4], zeros behind the last row. */
    static void quadsOf(
            FloatMemory from,
            long at,
            long stride,
            int rows,
            int width,
            float factor,
            float[] row,
            float[] into) {
        for (int r = 0; r < (rows + QUAD - 1) / QUAD * QUAD; r++) {
            int start = r / QUAD * width * QUAD + r % QUAD;
            if (r < rows) {
                readRow(from, at + r * stride, width, factor, row);
            }
            for (int i = 0; i < width; i++) {
                into[start + i * QUAD] = r < rows ? row[i] : 0;
            }
        }
    }

    private static void readRow(FloatMemory from, long at, int width, float factor, float[] row) {
        int i = 0;
        for (; i <= width - LANES; i += LANES) {
            from.load(at + i).mul(factor).intoArray(row, i);
        }
        for (; i < width; i++) {
            row[i] = from.get(at + i) * factor;
        }
    }

    /** Writes a row, each value times a factor. */
    static void writeRow(float[] row, int rowAt, int width, float factor, FloatMemory to, long at) {
        int i = 0;
        for (; i <= width - LANES; i += LANES) {
            to.store(FloatVector.fromArray(FLOATS, row, rowAt + i).mul(factor), at + i);
        }
        for (; i < width; i++) {
            to.set(at + i, row[rowAt + i] * factor);
        }
    }
}
