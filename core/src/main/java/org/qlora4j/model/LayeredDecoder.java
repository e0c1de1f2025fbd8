package org.qlora4j.model;

import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.tensor.Tensor;

/** A decoder of layers in a row, which can be divided behind any of them. */
public interface LayeredDecoder extends Decoder {
    /** Number of its layers. */
    int depth();

    /** What the first layer gets [batch, time, hidden]; arguments as for {@link #hidden}. */
    Var embedded(Tape tape, Tensor ids, Context seen);

    /**
     * Some layers, x [batch, time, hidden] to [batch, time, hidden].
     *
     * @param from the first of them
     * @param to the one behind the last of them
     */
    Var layers(Tape tape, Var x, int from, int to, Context seen, boolean checkpoint);

    /** What comes of the last layer's output. */
    Var normed(Tape tape, Var x);

    @Override
    default Var hidden(Tape tape, Tensor ids, Context seen, boolean checkpoint) {
        Var x = layers(tape, embedded(tape, ids, seen), 0, depth(), seen, checkpoint);
        seen.advance((int) ids.size(1));
        return normed(tape, x);
    }

    /**
     * As {@link #hidden(Tape, Tensor, Context, boolean)}, of one stage's layers.
     *
     * @param before what the stage before gave; null in the first
     * @return for the next stage; of the last one after the last norm
     */
    default Var hidden(
            Tape tape,
            Tensor ids,
            @Nullable Var before,
            Stage stage,
            Context seen,
            boolean checkpoint) {
        Var x = before == null ? embedded(tape, ids, seen) : before;
        x = layers(tape, x, stage.from(), stage.to(), seen, checkpoint);
        seen.advance((int) ids.size(1));
        return stage.isLast() ? normed(tape, x) : x;
    }
}
