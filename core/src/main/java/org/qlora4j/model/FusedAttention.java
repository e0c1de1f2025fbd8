package org.qlora4j.model;

import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.Part;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.lora.LinearLayer;

/**
 * {@link SelfAttention} whose queries, keys and values are made by one linear layer.
 *
 * @param layer its number, from 0
 * @param heads query heads
 * @param kvHeads key and value heads
 * @param headDim width of a head
 * @param qkv to [q | k | v]
 * @param byHead whether each head has its own [q | k | v] behind the other's (GPT-NeoX)
 */
public record FusedAttention(
        int layer,
        int heads,
        int kvHeads,
        int headDim,
        AttentionShape shape,
        LinearLayer qkv,
        boolean byHead,
        LinearLayer o)
        implements LayerAttention {
    @Override
    public Var forward(Tape tape, Var x, Context seen, Rotary.@Nullable Table rope) {
        int groups = byHead ? heads : 1;
        int queryWidth = heads / groups * headDim;
        int keyWidth = kvHeads / groups * headDim;
        Var all = qkv.forward(tape, x);
        Var q = Part.apply(tape, all, groups, 0, queryWidth);
        Var k = Part.apply(tape, all, groups, queryWidth, keyWidth);
        Var v = Part.apply(tape, all, groups, queryWidth + keyWidth, keyWidth);
        Var queries = LayerAttention.turned(tape, q, rope, heads);
        Var keys = LayerAttention.turned(tape, k, rope, kvHeads);
        return o.forward(tape, seen.attend(tape, layer, shape, queries, keys, v));
    }
}
