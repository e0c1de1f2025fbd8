package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import org.qlora4j.tensor.Tensor;

/** {@link EightBitAdam} with the Vector API, equal to the reference in every bit. */
final class VectorEightBitAdam implements EightBitAdam {
    private static final int BLOCK = EightBitMoments.BLOCK;
    private static final int BLOCKS_OF_TASK = 64;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
    private static final ThreadLocal<Block> SCRATCH = ThreadLocal.withInitial(Block::new);

    private final Workers workers;

    /** A block's moments in f32. */
    private static final class Block {
        final float[] m = new float[BLOCK];
        final float[] v = new float[BLOCK];
    }

    VectorEightBitAdam(Workers workers) {
        this.workers = workers;
    }

    @Override
    public void step(Tensor weights, Tensor gradients, EightBitMoments moments, AdamStep step) {
        long n = weights.count();
        int blocks = Math.toIntExact(EightBitMoments.blocks(n));
        FloatMemory p = FloatMemory.of(weights);
        FloatMemory g = FloatMemory.of(gradients);
        MemorySegment codes1 = moments.codes1().segment();
        MemorySegment absmax1 = moments.absmax1().segment();
        MemorySegment codes2 = moments.codes2().segment();
        MemorySegment absmax2 = moments.absmax2().segment();
        workers.run(
                (blocks + BLOCKS_OF_TASK - 1) / BLOCKS_OF_TASK,
                task -> {
                    Block scratch = SCRATCH.get();
                    int end = Math.min(blocks, (task + 1) * BLOCKS_OF_TASK);
                    for (int b = task * BLOCKS_OF_TASK; b < end; b++) {
                        long from = (long) b * BLOCK;
                        int length = (int) Math.min(BLOCK, n - from);
                        decode(codes1, from, length, moments.table1().values(), scratch.m);
                        decode(codes2, from, length, moments.table2().values(), scratch.v);
                        float a1 = absmax1.getAtIndex(FLOAT, b);
                        float a2 = absmax2.getAtIndex(FLOAT, b);
                        update(p, g, from, length, scratch, a1, a2, step);
                        absmax1.setAtIndex(
                                FLOAT, b, scale(scratch.m, length)); // m and v are now in [-1, 1]
                        absmax2.setAtIndex(FLOAT, b, scale(scratch.v, length));
                        encode(codes1, from, length, scratch.m, moments.table1());
                        encode(codes2, from, length, scratch.v, moments.table2());
                    }
                });
    }

    private static void decode(
            MemorySegment codes, long from, int length, float[] values, float[] into) {
        for (int i = 0; i < length; i++) {
            into[i] = values[codes.get(BYTE, from + i) & 0xFF];
        }
    }

    private static void update(
            FloatMemory p,
            FloatMemory g,
            long from,
            int length,
            Block moments,
            float a1,
            float a2,
            AdamStep step) {
        float beta1 = (float) step.beta1();
        float rest1 = (float) (1 - step.beta1());
        float beta2 = (float) step.beta2();
        float rest2 = (float) (1 - step.beta2());
        float keep = (float) step.keep();
        float size = (float) step.size();
        float factor = (float) step.root();
        float epsilon = (float) step.epsilon();
        int i = 0;
        for (; i <= length - FloatMemory.LANES; i += FloatMemory.LANES) {
            FloatVector grad = g.load(from + i);
            FloatVector m = FloatVector.fromArray(FloatMemory.FLOATS, moments.m, i).mul(a1);
            m = m.mul(beta1).add(grad.mul(rest1));
            FloatVector v = FloatVector.fromArray(FloatMemory.FLOATS, moments.v, i).mul(a2);
            v = v.mul(beta2).add(grad.mul(grad).mul(rest2));
            m.intoArray(moments.m, i);
            v.intoArray(moments.v, i);
            FloatVector root = v.lanewise(VectorOperators.SQRT).mul(factor).add(epsilon);
            p.store(p.load(from + i).mul(keep).add(m.div(root).mul(size)), from + i);
        }
        for (; i < length; i++) {
            float grad = g.get(from + i);
            float m = moments.m[i] * a1 * beta1 + grad * rest1;
            float v = moments.v[i] * a2 * beta2 + grad * grad * rest2;
            moments.m[i] = m;
            moments.v[i] = v;
            float root = (float) Math.sqrt(v) * factor + epsilon;
            p.set(from + i, p.get(from + i) * keep + m / root * size);
        }
    }

    /** Divides by the largest magnitude, unless that is 0, and returns it. */
    private static float scale(float[] values, int length) {
        float absmax = FloatMemory.absmax(values, length);
        float divisor = absmax == 0 ? 1 : absmax;
        int i;
        for (i = 0; i <= length - FloatMemory.LANES; i += FloatMemory.LANES) {
            FloatVector.fromArray(FloatMemory.FLOATS, values, i).div(divisor).intoArray(values, i);
        }
        for (; i < length; i++) {
            values[i] /= divisor;
        }
        return absmax;
    }

    private static void encode(
            MemorySegment codes, long from, int length, float[] scaled, EightBitTable table) {
        for (int i = 0; i < length; i++) {
            codes.set(BYTE, from + i, (byte) table.code(scaled[i]));
        }
    }
}
