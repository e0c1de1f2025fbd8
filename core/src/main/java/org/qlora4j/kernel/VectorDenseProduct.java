package org.qlora4j.kernel;

import jdk.incubator.vector.FloatVector;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/** {@link DenseProduct} with the Vector API; four sums, so that additions do not wait in line. */
record VectorDenseProduct(Workers workers) implements DenseProduct {
    /** Weights of one task, about 2 us of work. */
    private static final int TASK = 1 << 14;

    private static final int LANES = FloatRows.LANES;

    @Override
    public boolean takes(DType dtype, long rows) {
        return rows <= MOST_ROWS && FloatRows.reads(dtype);
    }

    @Override
    public void multiply(Tensor x, Tensor weight, Tensor y) {
        run(x, weight, 1, false, y);
    }

    @Override
    public void addMultiple(Tensor x, Tensor weight, double scale, Tensor y) {
        run(x, weight, (float) scale, true, y);
    }

    private void run(Tensor x, Tensor weight, float scale, boolean add, Tensor y) {
        int in = Math.toIntExact(weight.size(1));
        int out = Math.toIntExact(weight.size(0));
        int rows = Math.toIntExact(x.count() / in);
        FloatRows source = FloatRows.of(x);
        float[] wide = new float[rows * in];
        source.copyRow(0, rows * in, wide);
        FloatRows w = FloatRows.of(weight);
        FloatRows target = FloatRows.of(y);
        workers.runLines(
                out,
                TASK / in,
                (first, end) -> {
                    int lines = end - first;
                    float[] dots = FloatRows.scratch(lines);
                    for (int row = 0; row < rows; row++) {
                        for (int i = 0; i < lines; i++) {
                            dots[i] = dot(w, (long) (first + i) * in, wide, row * in, in);
                        }
                        long start = (long) row * out + first;
                        if (add) {
                            target.addScaled(dots, lines, scale, start);
                        } else {
                            target.storeScaled(dots, lines, scale, start);
                        }
                    }
                });
    }

    private static float dot(FloatRows w, long at, float[] x, int from, int in) {
        FloatVector a = FloatVector.zero(FloatRows.FLOATS);
        FloatVector b = a;
        FloatVector c = a;
        FloatVector d = a;
        int i = 0;
        for (; i <= in - 4 * LANES; i += 4 * LANES) {
            a = FloatRows.fma(w.load(at + i), load(x, from + i), a);
            b = FloatRows.fma(w.load(at + i + LANES), load(x, from + i + LANES), b);
            c = FloatRows.fma(w.load(at + i + 2 * LANES), load(x, from + i + 2 * LANES), c);
            d = FloatRows.fma(w.load(at + i + 3 * LANES), load(x, from + i + 3 * LANES), d);
        }
        for (; i <= in - LANES; i += LANES) {
            a = FloatRows.fma(w.load(at + i), load(x, from + i), a);
        }
        float sum = FloatRows.sum(a.add(b).add(c.add(d)));
        for (; i < in; i++) {
            sum += w.get(at + i) * x[from + i];
        }
        return sum;
    }

    private static FloatVector load(float[] x, int at) {
        return FloatVector.fromArray(FloatRows.FLOATS, x, at);
    }
}
