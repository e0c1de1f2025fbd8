package org.qlora4j.model;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;
import org.qlora4j.autograd.Attention;
import org.qlora4j.autograd.AttentionMask;
import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.tensor.Tensor;

/**
 * What positions of a target see: their own text, and all of a source. In generation the source's
 * keys and values are made once. The caller closes it, after the backward pass if there is one.
 */
public final class CrossContext implements Context, AutoCloseable {
    private final Context own;
    private final Var source;
    private final byte[] visible;
    private final boolean keeps;
    private final Map<Integer, AttentionMask> masks = new HashMap<>(); // by queries
    private final Map<Integer, Projected> projected = new HashMap<>(); // by layer

    /** Keys [batch, time, heads, headDim] and values [batch, time, heads * headDim] of a source. */
    public record Projected(Var keys, Var values) {}

    /**
     * @param own what they see of their own text; stays the caller's
     * @param source what the encoder gave [batch, time, hidden]; open as long as this
     * @param visible [batch, time]: 0 for padding of the source
     * @param keeps whether keys and values are kept from call to call: for generation
     */
    public CrossContext(Context own, Var source, byte[] visible, boolean keeps) {
        this.own = own;
        this.source = source;
        this.visible = visible;
        this.keeps = keeps;
    }

    /** Keys and values of a layer. */
    Projected projected(Tape tape, int layer, Function<Var, Projected> make) {
        if (!keeps) {
            return make.apply(source);
        }
        return projected.computeIfAbsent(
                layer,
                i -> {
                    Projected made = make.apply(source);
                    return new Projected(
                            tape.constant(tape.take(made.keys())),
                            tape.constant(tape.take(made.values())));
                });
    }

    /** Attention over the source; shapes as in {@link Context#attend}. */
    Var attendToSource(Tape tape, AttentionShape shape, Var q, Projected to) {
        Tensor keys = to.keys().value();
        AttentionMask mask =
                masks.computeIfAbsent(
                        (int) q.value().size(1),
                        queries ->
                                AttentionMask.whole(
                                        (int) keys.size(0), queries, (int) keys.size(1), visible));
        return Attention.apply(tape, q, to.keys(), to.values(), mask, shape);
    }

    @Override
    public Positions positions(int time) {
        return own.positions(time);
    }

    @Override
    public Positions textPositions(int time) {
        return own.textPositions(time);
    }

    @Override
    public Var attend(Tape tape, int layer, AttentionShape shape, Var q, Var k, Var v) {
        return own.attend(tape, layer, shape, q, k, v);
    }

    @Override
    public void advance(int time) {
        own.advance(time);
    }

    @Override
    public void close() {
        masks.values().forEach(AttentionMask::close);
        for (Projected each : projected.values()) {
            each.keys().value().close();
            each.values().value().close();
        }
        masks.clear();
        projected.clear();
    }
}
