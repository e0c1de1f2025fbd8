package org.qlora4j.kernel;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import org.qlora4j.tensor.Tensor;

/**
 * {@link ActivationRows} with the Vector API. Both forms of GELU are {@code x · p(x)} with a
 * probability p between 0 and 1, made of one exponential.
 */
record VectorActivationRows(Workers workers, ActivationRows reference) implements ActivationRows {
    private static final int TASK = 1 << 14;

    /** Elements whose exponentials are made at once; they stay in the nearest cache. */
    private static final int PIECE = 1 << 10;

    /** {@code 2 √(2/π)}: tanh(u) is 2 · sigmoid(2u) - 1. */
    private static final float TWICE_ROOT = 1.5957691216057308f;

    private static final float CUBIC = 0.044715f;

    /** {@code 1 / √(2π)}. */
    private static final float DENSITY = 0.3989422804014327f;

    private static final float ROOT_HALF = 0.7071067811865476f;

    // erfc(z) = t · (A1 + t · (…)) · exp(-z²), t = 1 / (1 + P z), z from 0, to 1.5e-7 (Abramowitz
    // and Stegun, 7.1.26)
    private static final float P = 0.3275911f;
    private static final float A1 = 0.254829592f;
    private static final float A2 = -0.284496736f;
    private static final float A3 = 1.421413741f;
    private static final float A4 = -1.453152027f;
    private static final float A5 = 1.061405429f;

    @Override
    public void forward(Activation f, Tensor x, Tensor y) {
        if (!FloatMemory.reads(x.dtype())) {
            reference.forward(f, x, y);
            return;
        }
        FloatMemory in = FloatMemory.of(x);
        FloatMemory out = FloatMemory.of(y);
        forEachPiece(
                x.count(),
                (start, length) -> {
                    if (f == Activation.RELU) {
                        relu(in, out, start, length);
                        return;
                    }
                    float[] p = probabilities(f, in, start, length);
                    int i = 0;
                    for (; i <= length - FloatMemory.LANES; i += FloatMemory.LANES) {
                        FloatVector v = in.load(start + i);
                        out.store(
                                v.mul(FloatVector.fromArray(FloatMemory.FLOATS, p, i)), start + i);
                    }
                    for (; i < length; i++) {
                        out.set(start + i, in.get(start + i) * p[i]);
                    }
                });
    }

    @Override
    public void backward(Activation f, Tensor x, Tensor dy, Tensor dx) {
        if (!FloatMemory.reads(x.dtype())) {
            reference.backward(f, x, dy, dx);
            return;
        }
        FloatMemory in = FloatMemory.of(x);
        FloatMemory dOut = FloatMemory.of(dy);
        FloatMemory dIn = FloatMemory.of(dx);
        forEachPiece(
                x.count(),
                (start, length) -> {
                    if (f == Activation.RELU) {
                        reluBackward(in, dOut, dIn, start, length);
                        return;
                    }
                    float[] e = FloatMemory.scratch(length);
                    in.copyRow(start, length, e);
                    slopes(f, e, length);
                    int i = 0;
                    for (; i <= length - FloatMemory.LANES; i += FloatMemory.LANES) {
                        FloatVector slope = FloatVector.fromArray(FloatMemory.FLOATS, e, i);
                        dIn.store(dOut.load(start + i).mul(slope), start + i);
                    }
                    for (; i < length; i++) {
                        dIn.set(start + i, dOut.get(start + i) * e[i]);
                    }
                });
    }

    /** p of each x, in this thread's scratch. */
    private static float[] probabilities(Activation f, FloatMemory in, long start, int length) {
        float[] row = FloatMemory.scratch(length);
        in.copyRow(start, length, row);
        boolean tanh = f == Activation.GELU_TANH;
        if (!VectorWidth.WHOLE) {
            for (int i = 0; i < length; i++) {
                row[i] = tanh ? sigmoid(row[i]) : normal(row[i]);
            }
        } else if (tanh) {
            sigmoids(row, length);
        } else {
            normals(row, length);
        }
        return row;
    }

    /**
     * Turns each x into {@code p(x) + x · p'(x)}, and what is behind them to a whole vector too.
     */
    private static void slopes(Activation f, float[] row, int length) {
        boolean tanh = f == Activation.GELU_TANH;
        if (!VectorWidth.WHOLE) {
            for (int i = 0; i < length; i++) {
                row[i] = tanh ? sigmoidSlope(row[i]) : normalSlope(row[i]);
            }
        } else if (tanh) {
            sigmoidSlopes(row, length);
        } else {
            normalSlopes(row, length);
        }
    }

    // One short method each: in a longer one the JVM leaves vectors as objects.

    private static void sigmoids(float[] row, int length) {
        for (int i = 0; i < length; i += FloatMemory.LANES) {
            sigmoid(FloatVector.fromArray(FloatMemory.FLOATS, row, i)).intoArray(row, i);
        }
    }

    private static void normals(float[] row, int length) {
        for (int i = 0; i < length; i += FloatMemory.LANES) {
            FloatVector x = FloatVector.fromArray(FloatMemory.FLOATS, row, i);
            normal(x, FastExp.of(x.mul(x).mul(-0.5f))).intoArray(row, i);
        }
    }

    private static void sigmoidSlopes(float[] row, int length) {
        for (int i = 0; i < length; i += FloatMemory.LANES) {
            FloatVector x = FloatVector.fromArray(FloatMemory.FLOATS, row, i);
            FloatVector s = sigmoid(x);
            FloatVector inner = x.mul(x).mul(3 * CUBIC).add(1f).mul(TWICE_ROOT);
            FloatVector rise = s.mul(s.neg().add(1f));
            FloatVector slope = x.mul(rise).mul(inner);
            // far from 0 it is 0, though the square has overflowed
            slope.blend(0f, rise.compare(VectorOperators.EQ, 0f)).add(s).intoArray(row, i);
        }
    }

    private static void normalSlopes(float[] row, int length) {
        for (int i = 0; i < length; i += FloatMemory.LANES) {
            FloatVector x = FloatVector.fromArray(FloatMemory.FLOATS, row, i);
            FloatVector e = FastExp.of(x.mul(x).mul(-0.5f));
            normal(x, e).add(x.mul(e).mul(DENSITY)).intoArray(row, i);
        }
    }

    /** {@code sigmoid(2u)} with {@code u = √(2/π) · (x + 0.044715 x³)}. */
    private static FloatVector sigmoid(FloatVector x) {
        FloatVector u = x.mul(x).mul(CUBIC).add(1f).mul(x).mul(TWICE_ROOT);
        FloatVector e = FastExp.of(u.abs().neg());
        FloatVector above = e.blend(1f, u.compare(VectorOperators.GE, 0f));
        return above.div(e.add(1f));
    }

    private static float sigmoid(float x) {
        float u = (x * x * CUBIC + 1) * x * TWICE_ROOT;
        float e = FastExp.of(-Math.abs(u));
        return (u >= 0 ? 1 : e) / (e + 1);
    }

    private static float sigmoidSlope(float x) {
        float s = sigmoid(x);
        float rise = s * (1 - s);
        return rise == 0 ? s : s + x * rise * (x * x * 3 * CUBIC + 1) * TWICE_ROOT;
    }

    /** Φ(x), by e = exp(-x²/2). */
    private static FloatVector normal(FloatVector x, FloatVector e) {
        FloatVector t = x.abs().mul(P * ROOT_HALF).add(1f);
        t = FloatVector.broadcast(FloatMemory.FLOATS, 1f).div(t);
        FloatVector p = t.mul(A5).add(A4);
        p = p.mul(t).add(A3);
        p = p.mul(t).add(A2);
        p = p.mul(t).add(A1);
        FloatVector tail = p.mul(t).mul(e).mul(0.5f);
        return tail.blend(tail.neg().add(1f), x.compare(VectorOperators.GE, 0f));
    }

    private static float normal(float x) {
        float t = 1 / (1 + Math.abs(x) * (P * ROOT_HALF));
        float p = ((((A5 * t + A4) * t + A3) * t + A2) * t + A1) * t;
        float tail = p * FastExp.of(x * x * -0.5f) * 0.5f;
        return x >= 0 ? 1 - tail : tail;
    }

    private static float normalSlope(float x) {
        return normal(x) + x * FastExp.of(x * x * -0.5f) * DENSITY;
    }

    /** A NaN stays one. */
    private static void relu(FloatMemory in, FloatMemory out, long start, int length) {
        int i = 0;
        for (; VectorWidth.WHOLE && i <= length - FloatMemory.LANES; i += FloatMemory.LANES) {
            FloatVector x = in.load(start + i);
            out.store(x.blend(0f, x.compare(VectorOperators.LT, 0f)), start + i);
        }
        for (; i < length; i++) {
            float x = in.get(start + i);
            out.set(start + i, x < 0 ? 0 : x);
        }
    }

    private static void reluBackward(
            FloatMemory x, FloatMemory dy, FloatMemory dx, long start, int length) {
        int i = 0;
        for (; VectorWidth.WHOLE && i <= length - FloatMemory.LANES; i += FloatMemory.LANES) {
            FloatVector v = x.load(start + i);
            FloatVector d = dy.load(start + i);
            dx.store(d.blend(0f, v.compare(VectorOperators.LE, 0f)), start + i);
        }
        for (; i < length; i++) {
            dx.set(start + i, x.get(start + i) <= 0 ? 0 : dy.get(start + i));
        }
    }

    /** What is done with elements {@code start} to {@code start + length}. */
    private interface Piece {
        void accept(long start, int length);
    }

    private void forEachPiece(long n, Piece piece) {
        workers.run(
                Math.toIntExact((n + TASK - 1) / TASK),
                task -> {
                    long end = Math.min(n, (task + 1L) * TASK);
                    for (long i = (long) task * TASK; i < end; i += PIECE) {
                        piece.accept(i, (int) Math.min(PIECE, end - i));
                    }
                });
    }
}
