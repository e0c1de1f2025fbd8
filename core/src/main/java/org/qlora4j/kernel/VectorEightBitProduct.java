package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/** {@link EightBitProduct} with the Vector API: 16 codes become 16 floats; a scale for each 32. */
record VectorEightBitProduct(Workers workers) implements EightBitProduct {
    private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_512;
    private static final VectorSpecies<Byte> BYTES = ByteVector.SPECIES_128;
    private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** Weights of one task, about 2 us of reading. */
    static final int TASK = 1 << 15;

    @Override
    public boolean takes(DType dtype, long rows) {
        return fits(dtype, rows);
    }

    /** What it takes, and so does the same in machine code. */
    static boolean fits(DType dtype, long rows) {
        return rows <= MOST_ROWS && FloatRows.reads(dtype);
    }

    @Override
    public void multiply(Tensor x, Tensor codes, Tensor scales, Tensor y) {
        int in = Math.toIntExact(codes.size(1));
        int out = Math.toIntExact(codes.size(0));
        int rows = Math.toIntExact(x.count() / in);
        float[] wide = new float[rows * in];
        FloatRows.of(x).copyRow(0, rows * in, wide);
        MemorySegment packed = codes.segment();
        MemorySegment scale = scales.segment();
        FloatRows target = FloatRows.of(y);
        workers.runLines(
                out,
                TASK / in,
                (first, end) -> {
                    for (int line = first; line < end; line++) {
                        long at = (long) line * in;
                        for (int row = 0; row < rows; row++) {
                            float dot = dot(packed, at, scale, wide, row * in, in);
                            target.set((long) row * out + line, dot);
                        }
                    }
                });
    }

    private static float dot(
            MemorySegment codes, long at, MemorySegment scales, float[] x, int from, int in) {
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int i = 0; i < in; i += BLOCK) {
            FloatVector part = load(codes, at + i).mul(load(x, from + i));
            part = load(codes, at + i + 16).fma(load(x, from + i + 16), part);
            float scale = scales.getAtIndex(FLOAT, (at + i) / BLOCK);
            sum = part.fma(FloatVector.broadcast(FLOATS, scale), sum);
        }
        return FloatRows.sum(sum);
    }

    private static FloatVector load(MemorySegment codes, long at) {
        return (FloatVector)
                ByteVector.fromMemorySegment(BYTES, codes, at, LE)
                        .convertShape(VectorOperators.B2F, FLOATS, 0);
    }

    private static FloatVector load(float[] x, int at) {
        return FloatVector.fromArray(FLOATS, x, at);
    }
}
