package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/** How machine code goes over the lines of a weight, by the same steps for 4 and for 8 bits. */
final class MachineLines {
    /** Bytes from a load of weights to what is asked for with it. */
    static final int AHEAD = 4096;

    /** Values that the code of an absmax can stand for. */
    static final int MAP_LENGTH = 256;

    private MachineLines() {}

    /**
     * Refuses what is read by address alone and does not lie inside its tensor, for a weight in 8
     * bits.
     *
     * @param takes whether the kernel takes such an x
     */
    static void requireFit(Tensor x, Tensor codes, Tensor scales, Tensor y, boolean takes) {
        long in = codes.size(1);
        long rows = x.count() / in;
        if (!takes
                || !FloatMemory.reads(y.dtype())
                || in % EightBitProduct.BLOCK != 0
                || x.count() != rows * in
                || y.count() != rows * codes.size(0)
                || codes.dtype() != DType.I8
                || scales.dtype() != DType.F32
                || scales.count() != codes.count() / EightBitProduct.BLOCK) {
            throw new IllegalArgumentException(
                    "%s and %s are not x and y of a weight with codes %s and scales %s"
                            .formatted(x, y, codes, scales));
        }
    }

    /** Whether code for weights in 4 bits takes such, of rows that are few enough. */
    static boolean takes(DType dtype, long in, int blockSize) {
        return VectorFourBitProduct.fits(dtype, in, blockSize) && Integer.bitCount(blockSize) == 1;
    }

    /** As for a weight in 8 bits, for one in 4. */
    static void requireFit(
            Tensor x, Tensor codes, BlockScales scales, int blockSize, Tensor y, boolean takes) {
        long in = x.size(-1);
        long out = y.size(-1);
        long blocks = out * in / blockSize;
        Tensor nested = scales.nestedAbsmax();
        long groups = Math.ceilDiv(blocks, (long) BlockScales.NESTED_BLOCK);
        boolean scalesFit =
                nested == null
                        ? isOf(scales.absmax(), DType.F32, blocks)
                        : isOf(scales.absmax(), DType.U8, blocks)
                                && isOf(nested, DType.F32, groups)
                                && scales.map().length == MAP_LENGTH;
        if (!takes
                || !FloatMemory.reads(y.dtype())
                || x.count() / in != y.count() / out
                || !isOf(codes, DType.U8, out * in / 2)
                || !scalesFit) {
            throw new IllegalArgumentException(
                    "%s and %s are not x and y of a weight with codes %s, absmax %s and blocks of %d"
                            .formatted(x, y, codes, scales.absmax(), blockSize));
        }
    }

    private static boolean isOf(Tensor tensor, DType dtype, long count) {
        return tensor.dtype() == dtype && tensor.count() == count;
    }

    /** x in f32, aligned, in this thread's {@link NativeScratch}. */
    static MemorySegment widened(Tensor x, int count) {
        float[] plain = FloatMemory.scratch(count);
        FloatMemory.of(x).copyRow(0, count, plain);
        MemorySegment room = NativeScratch.of((long) count * Float.BYTES);
        MemorySegment.copy(plain, 0, room, JAVA_FLOAT, 0, count);
        return room;
    }

    /** Code that adds up neighbouring lines of W, each for neighbouring rows of x. */
    interface Sums {
        /**
         * @param firstRow of x
         * @param rows 1 to as many as the code takes at once
         * @param firstLine of W
         * @param sums written: [lines, rows]
         */
        void add(int firstRow, int rows, int firstLine, long lines, MemorySegment sums)
                throws Throwable;
    }

    /**
     * Writes all sums.
     *
     * @param y [rows, out]
     * @param out lines of W
     * @param fewest lines of a task
     * @param atOnce most rows of x for one call
     */
    static void run(
            Workers workers, FloatMemory y, int rows, int out, int fewest, int atOnce, Sums code) {
        for (int next = 0; next < rows; next += atOnce) {
            int first = next;
            int count = Math.min(atOnce, rows - first);
            workers.runLines(
                    out,
                    fewest,
                    (line, end) -> {
                        int lines = end - line;
                        float[] sums = FloatMemory.scratch(lines * count);
                        call(() ->
                                code.add(first, count, line, lines, MemorySegment.ofArray(sums)));
                        store(sums, count, y, first, count, out, line, lines);
                    });
        }
    }

    /** A call of machine code, which throws nothing itself. */
    interface Call {
        void run() throws Throwable;
    }

    static void call(Call code) {
        try {
            code.run();
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    /**
     * Writes the sums of neighbouring lines, [lines, width], to y [rows, out].
     *
     * @param firstRow of x that the sums are for
     * @param rows of x, at most the width
     */
    static void store(
            float[] sums,
            int width,
            FloatMemory y,
            int firstRow,
            int rows,
            int out,
            int line,
            int lines) {
        for (int row = 0; row < rows; row++) {
            long at = (long) (firstRow + row) * out + line;
            for (int i = 0; i < lines; i++) {
                y.set(at + i, sums[i * width + row]);
            }
        }
    }
}
