package org.qlora4j.kernel;

import jdk.incubator.vector.FloatVector;
import org.qlora4j.tensor.Tensor;

/** {@link RotaryRows} with the Vector API. */
record VectorRotaryRows(Workers workers, RotaryRows reference) implements RotaryRows {
    private static final int POSITIONS_OF_TASK = 8;

    @Override
    public void rotate(Tensor x, Tensor cos, Tensor sin, int direction, Tensor out) {
        if (!FloatMemory.reads(x.dtype()) || cos.dtype().bytes() != Float.BYTES) {
            reference.rotate(x, cos, sin, direction, out);
            return;
        }
        FloatMemory in = FloatMemory.of(x);
        FloatMemory target = FloatMemory.of(out);
        FloatMemory cosines = FloatMemory.of(cos);
        FloatMemory sines = FloatMemory.of(sin);
        int time = Math.toIntExact(out.size(1));
        int heads = Math.toIntExact(out.size(2));
        int half = Math.toIntExact(cos.size(3));
        int size = Math.toIntExact(out.size(3));
        long tables = cos.size(0);
        int positions = Math.toIntExact(out.size(0) * time);
        workers.runLines(
                positions,
                POSITIONS_OF_TASK,
                (first, end) -> {
                    for (int p = first; p < end; p++) {
                        long angle = (long) (tables == 1 ? p % time : p) * half;
                        for (int h = 0; h < heads; h++) {
                            long start = ((long) p * heads + h) * size;
                            head(in, target, start, cosines, sines, angle, half, direction);
                            copy(in, target, start + 2L * half, start + size);
                        }
                    }
                });
    }

    private static void head(
            FloatMemory in,
            FloatMemory out,
            long start,
            FloatMemory cosines,
            FloatMemory sines,
            long angle,
            int half,
            int direction) {
        int i = 0;
        for (; i <= half - FloatMemory.LANES; i += FloatMemory.LANES) {
            FloatVector c = cosines.load(angle + i);
            FloatVector s = sines.load(angle + i).mul(direction);
            FloatVector x1 = in.load(start + i);
            FloatVector x2 = in.load(start + half + i);
            out.store(x1.mul(c).sub(x2.mul(s)), start + i);
            out.store(x2.mul(c).add(x1.mul(s)), start + half + i);
        }
        for (; i < half; i++) {
            float c = cosines.get(angle + i);
            float s = sines.get(angle + i) * direction;
            float x1 = in.get(start + i);
            float x2 = in.get(start + half + i);
            out.set(start + i, x1 * c - x2 * s);
            out.set(start + half + i, x2 * c + x1 * s);
        }
    }

    /** The part of a head that is not turned. */
    private static void copy(FloatMemory in, FloatMemory out, long from, long to) {
        long i = from;
        for (; i <= to - FloatMemory.LANES; i += FloatMemory.LANES) {
            out.store(in.load(i), i);
        }
        for (; i < to; i++) {
            out.set(i, in.get(i));
        }
    }
}
