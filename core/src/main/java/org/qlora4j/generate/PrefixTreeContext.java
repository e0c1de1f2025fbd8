package org.qlora4j.generate;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.qlora4j.autograd.Attention;
import org.qlora4j.autograd.AttentionMask;
import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.generate.PrefixTree.Node;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Context;
import org.qlora4j.model.Positions;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * What the runs of a {@link PrefixTree} see: the runs before them in their texts, and themselves up
 * to their own position. The row of all runs is the only row of the batch. The owner closes it.
 */
final class PrefixTreeContext implements Context, AutoCloseable {
    private final PrefixTree tree;
    private final HeldPrefix held;
    private final int keep;
    private HeldPrefix kept;
    private final List<AttentionMask> masks = new ArrayList<>(); // by node

    /**
     * @param held what the first text begins with, computed before; its owner's
     * @param keep positions of the last text to hold for the pass after this
     */
    PrefixTreeContext(PrefixTree tree, HeldPrefix held, int keep, CausalModel model) {
        this.tree = tree;
        this.held = held;
        this.keep = keep;
        this.kept = HeldPrefix.of(keep, model.shape().facts().layers());
        for (Node node : tree.nodes()) {
            masks.add(new AttentionMask(1, node.tokens(), node.to(), null));
        }
    }

    @Override
    public Positions positions(int time) {
        return new Positions.Each(tree.positions(), time);
    }

    /** A run with all before it. */
    private record Path(Tensor keys, Tensor values) {}

    @Override
    public Var attend(Tape tape, int layer, AttentionShape shape, Var q, Var k, Var v) {
        Map<Node, Path> inner = new IdentityHashMap<>();
        try (TensorScope scope = TensorScope.open()) {
            Tensor queries = q.value();
            Tensor keys = k.value();
            Tensor values = v.value().view(keys.shape());
            long width = queries.size(2) * queries.size(3);
            Tensor out = Tensors.empty(queries.dtype(), 1, queries.size(1), width);
            tape.keep(out);
            for (int i = 0; i < tree.nodes().size(); i++) {
                Node node = tree.nodes().get(i);
                Path path = path(node, layer, inner, keys, values);
                if (node.inner()) {
                    inner.put(node, path);
                }
                if (node.last() && node.from() < keep && node.to() >= keep) {
                    kept.keys()[layer] = first(path.keys());
                    kept.values()[layer] = first(path.values());
                }
                if (node.tokens() > 0) {
                    Var seen =
                            Attention.apply(
                                    tape,
                                    tape.constant(queries.narrow(1, node.start(), node.tokens())),
                                    tape.constant(path.keys()),
                                    tape.constant(path.values()),
                                    masks.get(i),
                                    shape);
                    out.narrow(1, node.start(), node.tokens()).copyFrom(seen.value());
                }
            }
            return tape.constant(out);
        }
    }

    /** A copy of the positions that the next pass goes on from. */
    private Tensor first(Tensor path) {
        return TensorScope.release(path.narrow(1, 0, keep).copy());
    }

    private Path path(Node node, int layer, Map<Node, Path> inner, Tensor keys, Tensor values) {
        Tensor ownKeys = keys.narrow(1, node.start(), node.tokens());
        Tensor ownValues = values.narrow(1, node.start(), node.tokens());
        int before = node.computed();
        if (before == 0) {
            return new Path(ownKeys, ownValues);
        }
        Path parent = before > node.from() ? null : inner.get(node.parent());
        Tensor beforeKeys = parent == null ? held.keys()[layer] : parent.keys();
        Tensor beforeValues = parent == null ? held.values()[layer] : parent.values();
        return new Path(
                behind(beforeKeys.narrow(1, 0, before), ownKeys),
                behind(beforeValues.narrow(1, 0, before), ownValues));
    }

    private static Tensor behind(Tensor before, Tensor own) {
        return own.size(1) == 0 ? before : Tensors.cat(List.of(before, own), 1);
    }

    /** Nothing comes after a whole batch. */
    @Override
    public void advance(int time) {}

    /** What the next pass goes on from; the caller closes it. */
    HeldPrefix takeHeld() {
        HeldPrefix taken = kept;
        kept = HeldPrefix.NONE;
        return taken;
    }

    @Override
    public void close() {
        masks.forEach(AttentionMask::close);
        kept.close();
    }
}
