package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;

/** How machine code goes over the lines of a weight, by the same steps for 4 and for 8 bits. */
final class Avx512Lines {
    /** Bytes from a load of weights to what is asked for with it. */
    static final int AHEAD = 4096;

    /** Most rows of x at once, so that what belongs to each stays in registers. */
    static final int ROWS = 8;

    /** Bytes of x at once: the first cache of Intel's CPUs since Ice Lake and of Zen 5. */
    private static final int CACHE = 48 << 10;

    private Avx512Lines() {}

    /** Code that adds up neighbouring lines of W, each for neighbouring rows of x. */
    interface Sums {
        /**
         * @param firstRow of x
         * @param rows 1 to {@link #ROWS}
         * @param firstLine of W
         * @param sums written: [lines, rows]
         */
        void add(int firstRow, int rows, int firstLine, long lines, MemorySegment sums)
                throws Throwable;
    }

    /**
     * Writes all sums, by as many rows at once as registers and the first cache hold.
     *
     * @param y [rows, out]
     * @param out lines of W
     * @param fewest lines of a task
     * @param rowBytes of a row of x, in f32
     */
    static void run(
            Workers workers, FloatRows y, int rows, int out, int fewest, int rowBytes, Sums code) {
        int atOnce = Math.clamp(CACHE / rowBytes, 1, ROWS);
        for (int next = 0; next < rows; next += atOnce) {
            int first = next;
            int count = Math.min(atOnce, rows - first);
            workers.runLines(
                    out,
                    fewest,
                    (line, end) -> {
                        int lines = end - line;
                        float[] sums = FloatRows.scratch(lines * count);
                        try {
                            code.add(first, count, line, lines, MemorySegment.ofArray(sums));
                        } catch (RuntimeException | Error e) {
                            throw e;
                        } catch (Throwable e) { // machine code throws nothing
                            throw new IllegalStateException(e);
                        }
                        for (int row = 0; row < count; row++) {
                            long at = (long) (first + row) * out + line;
                            for (int i = 0; i < lines; i++) {
                                y.set(at + i, sums[i * count + row]);
                            }
                        }
                    });
        }
    }
}
