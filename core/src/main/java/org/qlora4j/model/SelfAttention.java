package org.qlora4j.model;

import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.lora.LinearLayer;

/**
 * Attention of a layer to its own text, with grouped heads (arXiv 2305.13245): projections, perhaps
 * a norm of each head, perhaps rotary angles.
 *
 * @param layer its number, from 0
 * @param heads query heads
 * @param kvHeads key and value heads
 * @param qNorm of each query head, before the angles; null for none
 * @param kNorm of each key head; null for none
 */
public record SelfAttention(
        int layer,
        int heads,
        int kvHeads,
        AttentionShape shape,
        LinearLayer q,
        LinearLayer k,
        LinearLayer v,
        LinearLayer o,
        @Nullable Norm qNorm,
        @Nullable Norm kNorm)
        implements LayerAttention {
    /**
     * The module {@code self_attn} with linears {@code q_proj, k_proj, v_proj, o_proj}.
     *
     * @param weights of the module
     * @param facts of the model
     * @param bias whether q, k and v have a bias
     * @param outBias whether o has one
     */
    public static SelfAttention of(
            Weights weights,
            ModelFacts facts,
            int layer,
            AttentionShape shape,
            boolean bias,
            boolean outBias) {
        int hidden = facts.hiddenSize();
        int queries = facts.heads() * facts.headDim();
        int keys = facts.kvHeads() * facts.headDim();
        return new SelfAttention(
                layer,
                facts.heads(),
                facts.kvHeads(),
                shape,
                weights.linear("q_proj", queries, hidden, bias),
                weights.linear("k_proj", keys, hidden, bias),
                weights.linear("v_proj", keys, hidden, bias),
                weights.linear("o_proj", hidden, queries, outBias),
                null,
                null);
    }

    /** The same with a norm of every query and key head. */
    public SelfAttention withNorms(Norm ofQueries, Norm ofKeys) {
        return new SelfAttention(layer, heads, kvHeads, shape, q, k, v, o, ofQueries, ofKeys);
    }

    @Override
    public Var forward(Tape tape, Var x, Context seen, Rotary.@Nullable Table rope) {
        Var queries =
                LayerAttention.turned(tape, normed(tape, q.forward(tape, x), qNorm), rope, heads);
        Var keys =
                LayerAttention.turned(tape, normed(tape, k.forward(tape, x), kNorm), rope, kvHeads);
        Var values = v.forward(tape, x);
        return o.forward(tape, seen.attend(tape, layer, shape, queries, keys, values));
    }

    private static Var normed(Tape tape, Var x, @Nullable Norm norm) {
        return norm == null ? x : norm.forward(tape, x);
    }
}
