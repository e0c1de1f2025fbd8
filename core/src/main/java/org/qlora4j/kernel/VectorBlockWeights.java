package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import jdk.incubator.vector.FloatVector;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link BlockWeights} with the Vector API. A line of W is decoded into a cache, once for all rows;
 * four sums of products, so that additions do not wait in line.
 */
record VectorBlockWeights(Workers workers, BlockWeights reference) implements BlockWeights {
    private static final int LANES = FloatMemory.LANES;

    /** Weights of one task, some us of work. */
    private static final int TASK = 1 << 14;

    @Override
    public void decode(Tensor blocks, BlockType type, Tensor out) {
        if (!FloatMemory.reads(out.dtype())) {
            reference.decode(blocks, type, out);
            return;
        }
        int in = Math.toIntExact(out.size(1));
        MemorySegment packed = blocks.segment();
        MethodHandle lines = lines(type);
        long bytes = type.bytes(in);
        FloatMemory target = FloatMemory.of(out);
        workers.runLines(
                Math.toIntExact(out.size(0)),
                TASK / in,
                (first, end) -> {
                    float[] line = FloatMemory.scratch(in);
                    for (int i = first; i < end; i++) {
                        BlockLines.decode(lines, packed, i * bytes, in, line);
                        target.storeScaled(line, in, 1, (long) i * in);
                    }
                });
    }

    @Override
    public boolean takes(DType dtype, long rows) {
        return rows <= MOST_ROWS && FloatMemory.reads(dtype);
    }

    @Override
    public void multiply(Tensor x, Tensor blocks, BlockType type, Tensor y) {
        int in = Math.toIntExact(x.size(-1));
        int out = Math.toIntExact(y.size(-1));
        int rows = Math.toIntExact(x.count() / in);
        float[] wide = new float[rows * in];
        FloatMemory.of(x).copyRow(0, rows * in, wide);
        MemorySegment packed = blocks.segment();
        MethodHandle lines = lines(type);
        long bytes = type.bytes(in);
        FloatMemory target = FloatMemory.of(y);
        workers.runLines(
                out,
                TASK / in,
                (first, end) -> {
                    float[] line = FloatMemory.scratch(in);
                    for (int i = first; i < end; i++) {
                        BlockLines.decode(lines, packed, i * bytes, in, line);
                        for (int row = 0; row < rows; row++) {
                            target.set((long) row * out + i, dot(line, wide, row * in, in));
                        }
                    }
                });
    }

    private static MethodHandle lines(BlockType type) {
        return VectorWidth.WHOLE ? BlockLines.of(type) : BlockLines.plain(type);
    }

    private static float dot(float[] w, float[] x, int from, int in) {
        FloatVector a = FloatVector.zero(FloatMemory.FLOATS);
        FloatVector b = a;
        FloatVector c = a;
        FloatVector d = a;
        int i = 0;
        for (; i <= in - 4 * LANES; i += 4 * LANES) {
            a = FloatMemory.fma(load(w, i), load(x, from + i), a);
            b = FloatMemory.fma(load(w, i + LANES), load(x, from + i + LANES), b);
            c = FloatMemory.fma(load(w, i + 2 * LANES), load(x, from + i + 2 * LANES), c);
            d = FloatMemory.fma(load(w, i + 3 * LANES), load(x, from + i + 3 * LANES), d);
        }
        for (; i < in; i += LANES) {
            a = FloatMemory.fma(load(w, i), load(x, from + i), a);
        }
        return FloatMemory.sum(a.add(b).add(c.add(d)));
    }

    private static FloatVector load(float[] values, int at) {
        return FloatVector.fromArray(FloatMemory.FLOATS, values, at);
    }
}
