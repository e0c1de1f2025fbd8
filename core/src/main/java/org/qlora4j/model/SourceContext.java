package org.qlora4j.model;

import java.util.function.Function;
import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;

/** What positions of a target see: their own text, and all of a source that an encoder has read. */
public interface SourceContext extends Context {
    /** Keys [batch, time, heads, headDim] and values [batch, time, heads * headDim] of a source. */
    record Projected(Var keys, Var values) {}

    /**
     * Attention of a layer to the source.
     *
     * @param q [batch, time, heads, headDim]
     * @param make keys and values of what the encoder gave [batch, time, hidden]; not asked again
     *     where they are kept
     * @return [batch, time, heads * headDim]
     */
    Var attendToSource(
            Tape tape, int layer, AttentionShape shape, Var q, Function<Var, Projected> make);
}
