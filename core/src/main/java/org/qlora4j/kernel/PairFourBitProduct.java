package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link FourBitProduct} with vectors of 8 or 4 floats: a line of W is decoded into the nearest
 * cache, a byte at a time ({@link PairFourBit}), then multiplied with each row of x. A scale is
 * applied once to the sum of 64 products, which are added in two chains.
 */
record PairFourBitProduct(Workers workers) implements FourBitProduct {
    private static final VectorSpecies<Float> FLOATS = FloatMemory.FLOATS;
    private static final int LANES = FloatMemory.LANES;

    /** Weights of one scale. */
    private static final int PART = VectorFourBitProduct.HALF;

    @Override
    public boolean takes(DType dtype, long rows, long in, int blockSize) {
        return rows <= MOST_ROWS && VectorFourBitProduct.fits(dtype, in, blockSize);
    }

    @Override
    public void multiply(
            Tensor x, Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor y) {
        int in = Math.toIntExact(x.size(-1));
        int out = Math.toIntExact(y.size(-1));
        int rows = Math.toIntExact(x.count() / in);
        float[] wide = new float[rows * in];
        FloatMemory.of(x).copyRow(0, rows * in, wide);
        float[] pairs = PairFourBit.pairs(table);
        FloatMemory target = FloatMemory.of(y);
        MemorySegment packed = codes.segment();
        AbsmaxRuns absmax = AbsmaxRuns.of(scales, blockSize / PART);
        int parts = in / PART;
        workers.runLines(
                out,
                VectorFourBitProduct.TASK / in,
                (first, end) -> {
                    int room = (end - first) * parts;
                    float[] scratch = FloatMemory.scratch(room + in);
                    absmax.decode((long) first * parts, room, scratch);
                    for (int line = first; line < end; line++) {
                        PairFourBit.decode(
                                packed, (long) line * in / 2, in / 2, pairs, scratch, room);
                        int scale = (line - first) * parts;
                        for (int row = 0; row < rows; row++) {
                            target.set(
                                    (long) row * out + line,
                                    dot(scratch, room, scale, parts, wide, row * in));
                        }
                    }
                });
    }

    private static float dot(
            float[] scratch, int decoded, int scale, int parts, float[] x, int from) {
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int part = 0; part < parts; part++) {
            int w = decoded + part * PART;
            int at = from + part * PART;
            FloatVector even = load(scratch, w).mul(load(x, at));
            FloatVector odd = load(scratch, w + LANES).mul(load(x, at + LANES));
            for (int i = 2 * LANES; i < PART; i += 2 * LANES) {
                even = FloatMemory.fma(load(scratch, w + i), load(x, at + i), even);
                odd = FloatMemory.fma(load(scratch, w + LANES + i), load(x, at + LANES + i), odd);
            }
            FloatVector scales = FloatVector.broadcast(FLOATS, scratch[scale + part]);
            sum = FloatMemory.fma(even.add(odd), scales, sum);
        }
        return FloatMemory.sum(sum);
    }

    private static FloatVector load(float[] values, int at) {
        return FloatVector.fromArray(FLOATS, values, at);
    }
}
