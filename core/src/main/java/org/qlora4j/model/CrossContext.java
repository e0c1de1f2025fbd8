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
 * What a batch of targets sees: each its own text, and all of its source. The caller closes it,
 * after the backward pass if there is one.
 */
public final class CrossContext implements SourceContext, AutoCloseable {
    private final Context own;
    private final Var source;
    private final byte[] visible;
    private final Map<Integer, AttentionMask> masks = new HashMap<>(); // by queries

    /**
     * @param own what they see of their own text; stays the caller's
     * @param source what the encoder gave [batch, time, hidden]; open as long as this
     * @param visible [batch, time]: 0 for padding of the source
     */
    public CrossContext(Context own, Var source, byte[] visible) {
        this.own = own;
        this.source = source;
        this.visible = visible;
    }

    @Override
    public Var attendToSource(
            Tape tape, int layer, AttentionShape shape, Var q, Function<Var, Projected> make) {
        Projected to = make.apply(source);
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
        masks.clear();
    }
}
