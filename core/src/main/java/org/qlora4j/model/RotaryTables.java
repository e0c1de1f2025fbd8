package org.qlora4j.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Cosines and sines of the rotary angles of a model, made once for all positions met so far: a step
 * of generation needs those of one position, and takes a view.
 */
public final class RotaryTables implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(RotaryTables.class);
    private static final int FIRST_CAPACITY = 256;

    private final RopeScaling scaling;
    private final int dims;
    private final double theta;
    private final int maxPositions;
    private final Kept near = new Kept();
    private final Kept far = new Kept(); // of texts beyond a length, where those have angles of own

    private boolean toldOfChange;

    /** Tables for all positions from 0 on. */
    private static final class Kept {
        private @Nullable Tensor cos; // F32 [1, capacity, 1, dims / 2]
        private @Nullable Tensor sin;

        void close() {
            if (cos != null && sin != null) {
                cos.close();
                sin.close();
            }
        }
    }

    /**
     * @param dims places of a head that are turned
     * @param maxPositions the trained length
     */
    public RotaryTables(RopeScaling scaling, int dims, double theta, int maxPositions) {
        this.scaling = scaling;
        this.dims = dims;
        this.theta = theta;
        this.maxPositions = maxPositions;
    }

    /** Angles of the positions; the tape owns the handles. */
    public Rotary.Table at(Tape tape, Positions positions) {
        return switch (positions) {
            case Positions.Run(int first, int time) -> at(tape, first, time);
            case Positions.Each(int[] places, int time) -> at(tape, places, time);
        };
    }

    /** Angles of positions {@code past} to {@code past + time}; the tape owns the handles. */
    private Rotary.Table at(Tape tape, int past, int time) {
        int end = past + time;
        if (past > 0) {
            tellOfChange(past, end);
        }
        if (hasAnglesOfItsOwn(end)) {
            try (TensorScope scope = TensorScope.open()) {
                Rotary.Table table = make(past, time, end);
                return new Rotary.Table(tape.keep(table.cos()), tape.keep(table.sin()));
            }
        }
        Rotary.Table all = upTo(end, end);
        return new Rotary.Table(
                tape.keep(all.cos().narrow(1, past, time)),
                tape.keep(all.sin().narrow(1, past, time)));
    }

    /**
     * Angles of any positions; a negative one gets those of 0. The tape owns the handles.
     *
     * @param positions [batch, time]
     * @return tables of [batch, time, 1, dims / 2]
     */
    private Rotary.Table at(Tape tape, int[] positions, int time) {
        if (time == 1 && dependsOnLength()) {
            return atEnds(tape, positions);
        }
        int end = 1 + Math.max(0, Arrays.stream(positions).max().orElse(0));
        long[] index = Arrays.stream(positions).mapToLong(p -> Math.max(0, p)).toArray();
        try (TensorScope scope = TensorScope.open()) {
            Rotary.Table all = hasAnglesOfItsOwn(end) ? make(0, end, end) : upTo(end, end);
            Tensor places = Tensors.of(index, index.length);
            return new Rotary.Table(
                    tape.keep(pick(all.cos(), places, time)),
                    tape.keep(pick(all.sin(), places, time)));
        }
    }

    /** Angles of the last positions of texts, each by the length of its own text. */
    private Rotary.Table atEnds(Tape tape, int[] positions) {
        try (TensorScope scope = TensorScope.open()) {
            List<Tensor> cos = new ArrayList<>();
            List<Tensor> sin = new ArrayList<>();
            for (int position : positions) {
                int p = Math.max(0, position);
                Rotary.Table row = at(tape, p, 1);
                cos.add(row.cos());
                sin.add(row.sin());
            }
            return new Rotary.Table(tape.keep(Tensors.cat(cos, 0)), tape.keep(Tensors.cat(sin, 0)));
        }
    }

    private static Tensor pick(Tensor table, Tensor places, int time) {
        return table.indexSelect(1, places).view(places.count() / time, time, 1, table.size(3));
    }

    private boolean dependsOnLength() {
        return scaling instanceof RopeScaling.Dynamic || scaling instanceof RopeScaling.LongRope;
    }

    /** Says once that a text in a cache has grown to where its angles are others. */
    private void tellOfChange(int past, int end) {
        if (scaling instanceof RopeScaling.LongRope longRope
                && past <= longRope.original()
                && end > longRope.original()
                && !toldOfChange) {
            toldOfChange = true;
            LOG.warn(
                    "a text has grown beyond {} tokens, where longrope changes the angles; what was cached before keeps"
                            + " its own, so give long prompts at once",
                    longRope.original());
        }
    }

    /** Whether texts of this length have frequencies that no other length has. */
    private boolean hasAnglesOfItsOwn(int length) {
        return scaling instanceof RopeScaling.Dynamic && length > maxPositions;
    }

    /** The tables for texts of a length, of at least so many positions; owned here. */
    private Rotary.Table upTo(int end, int length) {
        boolean beyond =
                scaling instanceof RopeScaling.LongRope longRope && length > longRope.original();
        Kept kept = beyond ? far : near;
        Tensor cos = kept.cos;
        Tensor sin = kept.sin;
        if (cos == null || sin == null || cos.size(1) < end) {
            kept.close(); // a tape that still uses the old tables has handles of its own on them
            int capacity = Math.max(FIRST_CAPACITY, Integer.highestOneBit(end - 1) * 2);
            try (TensorScope scope = TensorScope.open()) {
                Rotary.Table table = make(0, capacity, beyond ? length : 0);
                cos = TensorScope.release(table.cos());
                sin = TensorScope.release(table.sin());
                kept.cos = cos;
                kept.sin = sin;
            }
        }
        return new Rotary.Table(cos, sin);
    }

    private Rotary.Table make(int past, int time, int length) {
        float[] frequencies = scaling.frequencies(dims, theta, maxPositions, length);
        float factor = (float) scaling.attentionFactor();
        int half = frequencies.length;
        float[] cosines = new float[time * half];
        float[] sines = new float[time * half];
        for (int t = 0; t < time; t++) {
            for (int i = 0; i < half; i++) {
                float angle = (past + t) * frequencies[i];
                cosines[t * half + i] = (float) Math.cos(angle) * factor;
                sines[t * half + i] = (float) Math.sin(angle) * factor;
            }
        }
        return new Rotary.Table(
                Tensors.of(cosines, 1, time, 1, half), Tensors.of(sines, 1, time, 1, half));
    }

    @Override
    public void close() {
        near.close();
        far.close();
    }
}
