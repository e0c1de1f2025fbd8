package org.qlora4j.family;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.function.IntFunction;
import org.qlora4j.autograd.Embedding;
import org.qlora4j.autograd.Head;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.autograd.Weight;
import org.qlora4j.model.Context;
import org.qlora4j.model.DecoderLayer;
import org.qlora4j.model.LayeredDecoder;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.Norm;
import org.qlora4j.model.RotaryTables;
import org.qlora4j.model.Weights;
import org.qlora4j.tensor.Tensor;

/**
 * The decoder that all versions of Gemma share: embeddings times the root of the hidden size,
 * layers with angles of their own, a norm, and the embedding table as head.
 *
 * @param embedTokens [vocabulary, hidden]
 * @param rotary the angles of each layer; layers may share them
 */
record GemmaDecoder(
        Parameter embedTokens,
        List<RotaryTables> rotary,
        List<DecoderLayer> layers,
        Norm norm,
        Head head)
        implements LayeredDecoder {
    /**
     * Asks for the weights in the order that checkpoints of training keep.
     *
     * @param model weights under {@code model}
     * @param head weights beside it; a checkpoint without a head has the embedding table for one
     * @param softcap of the logits; 0 for none
     * @param rotary the angles of a layer, each kept already
     */
    static GemmaDecoder of(
            Weights model,
            Weights head,
            ModelFacts facts,
            double normEps,
            boolean tied,
            double softcap,
            IntFunction<RotaryTables> rotary,
            BiFunction<Integer, Weights, DecoderLayer> layer) {
        int rows = facts.vocabularySize();
        int hidden = facts.hiddenSize();
        Parameter embed = model.parameter("embed_tokens.weight", rows, hidden);
        List<DecoderLayer> layers = new ArrayList<>();
        List<RotaryTables> angles = new ArrayList<>();
        for (int i = 0; i < facts.layers(); i++) {
            layers.add(layer.apply(i, model.in("layers." + i)));
            angles.add(rotary.apply(i));
        }
        Norm norm = Norm.rmsAroundZero(model, "norm", hidden, normEps);
        Parameter table =
                tied || !head.has("lm_head.weight")
                        ? embed
                        : head.parameter("lm_head.weight", rows, hidden);
        return new GemmaDecoder(
                embed,
                List.copyOf(angles),
                List.copyOf(layers),
                norm,
                new Head(new Weight.Dense(table), null, softcap, 1));
    }

    @Override
    public int depth() {
        return layers.size();
    }

    @Override
    public Var embedded(Tape tape, Tensor ids, Context seen) {
        double scale = Math.sqrt(embedTokens.shape()[1]);
        return Embedding.apply(tape, embedTokens, ids, scale);
    }

    @Override
    public Var layers(Tape tape, Var x, int from, int to, Context seen, boolean checkpoint) {
        int time = (int) x.value().size(1);
        Map<RotaryTables, Rotary.Table> ropes = new IdentityHashMap<>();
        for (int i = from; i < to; i++) {
            DecoderLayer layer = layers.get(i);
            Rotary.Table rope =
                    ropes.computeIfAbsent(
                            rotary.get(i), tables -> tables.at(tape, seen.positions(time)));
            x = tape.block(x, checkpoint, (t, in) -> layer.forward(t, in, seen, rope));
        }
        return x;
    }

    @Override
    public Var normed(Tape tape, Var x) {
        return norm.forward(tape, x);
    }

    @Override
    public List<Parameter> tables() {
        return head.tables(embedTokens);
    }
}
