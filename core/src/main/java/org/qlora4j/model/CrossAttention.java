package org.qlora4j.model;

import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.Heads;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.lora.LinearLayer;

/**
 * Attention of a decoder's layer to the source (arXiv 1706.03762, section 3.2.3).
 *
 * @param layer its number, from 0
 */
public record CrossAttention(
        int layer,
        int heads,
        AttentionShape shape,
        LinearLayer q,
        LinearLayer k,
        LinearLayer v,
        LinearLayer o) {
    /** x [batch, time, hidden], normed, to [batch, time, hidden]. */
    public Var forward(Tape tape, Var x, SourceContext seen) {
        Var queries = Heads.split(tape, q.forward(tape, x), heads);
        Var attended =
                seen.attendToSource(
                        tape,
                        layer,
                        shape,
                        queries,
                        source ->
                                new SourceContext.Projected(
                                        Heads.split(tape, k.forward(tape, source), heads),
                                        v.forward(tape, source)));
        return o.forward(tape, attended);
    }
}
