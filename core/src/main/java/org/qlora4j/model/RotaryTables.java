package org.qlora4j.model;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Cosines and sines of the rotary angles of a model, made once for all positions met so far: a step
 * of generation needs those of one position, and takes a view.
 */
public final class RotaryTables implements AutoCloseable {
    private static final int FIRST_CAPACITY = 256;

    private final RopeScaling scaling;
    private final int headDim;
    private final double theta;
    private final int maxPositions;
    private @Nullable Tensor cos; // F32 [1, capacity, 1, headDim / 2]
    private @Nullable Tensor sin;

    public RotaryTables(RopeScaling scaling, int headDim, double theta, int maxPositions) {
        this.scaling = scaling;
        this.headDim = headDim;
        this.theta = theta;
        this.maxPositions = maxPositions;
    }

    /** Angles of positions {@code past} to {@code past + time}; the tape owns the handles. */
    private Rotary.Table at(Tape tape, int past, int time) {
        int end = past + time;
        if (scaling instanceof RopeScaling.Dynamic && end > maxPositions) {
            // every length has frequencies of its own
            try (TensorScope scope = TensorScope.open()) {
                Rotary.Table table = make(past, time, end);
                return new Rotary.Table(tape.keep(table.cos()), tape.keep(table.sin()));
            }
        }
        Rotary.Table all = upTo(end);
        return new Rotary.Table(
                tape.keep(all.cos().narrow(1, past, time)),
                tape.keep(all.sin().narrow(1, past, time)));
    }

    /** Angles of the positions; the tape owns the handles. */
    public Rotary.Table at(Tape tape, Positions positions) {
        return switch (positions) {
            case Positions.Run(int first, int time) -> at(tape, first, time);
            case Positions.Each(int[] places, int time) -> at(tape, places, time);
        };
    }

    /**
     * Angles of any positions; a negative one gets those of 0. The tape owns the handles.
     *
     * @param positions [batch, time]
     * @return tables of [batch, time, 1, headDim / 2]
     */
    private Rotary.Table at(Tape tape, int[] positions, int time) {
        int end = 1 + Math.max(0, Arrays.stream(positions).max().orElse(0));
        long[] index = Arrays.stream(positions).mapToLong(p -> Math.max(0, p)).toArray();
        try (TensorScope scope = TensorScope.open()) {
            boolean stretched = scaling instanceof RopeScaling.Dynamic && end > maxPositions;
            Rotary.Table all = stretched ? make(0, end, end) : upTo(end);
            Tensor places = Tensors.of(index, index.length);
            return new Rotary.Table(
                    tape.keep(pick(all.cos(), places, time)),
                    tape.keep(pick(all.sin(), places, time)));
        }
    }

    private static Tensor pick(Tensor table, Tensor places, int time) {
        return table.indexSelect(1, places).view(places.count() / time, time, 1, table.size(3));
    }

    /** The tables, of at least so many positions; owned here. */
    private Rotary.Table upTo(int end) {
        Tensor allCos = cos;
        Tensor allSin = sin;
        if (allCos == null || allSin == null || allCos.size(1) < end) {
            close(); // a tape that still uses the old tables has handles of its own on them
            int capacity = Math.max(FIRST_CAPACITY, Integer.highestOneBit(end - 1) * 2);
            try (TensorScope scope = TensorScope.open()) {
                Rotary.Table table = make(0, capacity, 0);
                allCos = TensorScope.release(table.cos());
                allSin = TensorScope.release(table.sin());
                cos = allCos;
                sin = allSin;
            }
        }
        return new Rotary.Table(allCos, allSin);
    }

    private Rotary.Table make(int past, int time, int length) {
        float[] frequencies = scaling.frequencies(headDim, theta, maxPositions, length);
        int half = frequencies.length;
        float[] cosines = new float[time * half];
        float[] sines = new float[time * half];
        for (int t = 0; t < time; t++) {
            for (int i = 0; i < half; i++) {
                float angle = (past + t) * frequencies[i];
                cosines[t * half + i] = (float) Math.cos(angle);
                sines[t * half + i] = (float) Math.sin(angle);
            }
        }
        return new Rotary.Table(
                Tensors.of(cosines, 1, time, 1, half), Tensors.of(sines, 1, time, 1, half));
    }

    @Override
    public void close() {
        if (cos != null) {
            cos.close();
        }
        if (sin != null) {
            sin.close();
        }
    }
}
