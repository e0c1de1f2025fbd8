package org.qlora4j.model;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Embedding;
import org.qlora4j.autograd.Head;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.autograd.Weight;
import org.qlora4j.tensor.Tensor;

/**
 * The decoder of most families: token embeddings, places that are learnt or turned by angles,
 * layers, a norm, and a head that may be the embedding table.
 *
 * @param embedTokens [vocabulary, hidden]
 * @param learned table of places; null for none
 * @param rotary angles of places; null for none
 */
public record PreNormDecoder(
        Parameter embedTokens,
        @Nullable LearnedPositions learned,
        @Nullable RotaryTables rotary,
        List<DecoderLayer> layers,
        Norm norm,
        Head head)
        implements LayeredDecoder {
    /**
     * Asks for the weights of LLaMA and its kin in the order that checkpoints of training keep.
     *
     * @param weights of the whole model
     * @param tied whether the head is the embedding table; a checkpoint without a head has tied
     *     ones, whatever its config says
     * @param layer makes a layer of its number and its weights
     */
    public static PreNormDecoder of(
            Weights weights,
            ModelFacts facts,
            double normEps,
            boolean tied,
            RotaryTables rotary,
            BiFunction<Integer, Weights, DecoderLayer> layer) {
        int rows = facts.vocabularySize();
        int hidden = facts.hiddenSize();
        Weights model = weights.in("model");
        Parameter embed = model.parameter("embed_tokens.weight", rows, hidden);
        List<DecoderLayer> layers = layers(model.in("layers"), facts.layers(), layer);
        Norm norm = Norm.rms(model, "norm", hidden, normEps);
        Head head = head(weights, "lm_head", embed, tied);
        return new PreNormDecoder(embed, null, weights.keep(rotary), layers, norm, head);
    }

    /** The layers, each by its number and from the weights under it. */
    public static List<DecoderLayer> layers(
            Weights weights, int count, BiFunction<Integer, Weights, DecoderLayer> layer) {
        List<DecoderLayer> layers = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            layers.add(layer.apply(i, weights.in(String.valueOf(i))));
        }
        return List.copyOf(layers);
    }

    /**
     * The head: a table of its own, or the embeddings'.
     *
     * @param name of its module, e.g. {@code lm_head}
     * @param tied whether it is the embedding table; a checkpoint without a head has tied ones,
     *     whatever its config says
     */
    public static Head head(Weights weights, String name, Parameter embed, boolean tied) {
        String weight = name + ".weight";
        boolean shared = tied || !weights.has(weight);
        return Head.of(new Weight.Dense(shared ? embed : weights.parameter(weight, embed.shape())));
    }

    @Override
    public int depth() {
        return layers.size();
    }

    @Override
    public Var embedded(Tape tape, Tensor ids, Context seen) {
        Var x = Embedding.apply(tape, embedTokens, ids);
        return learned == null ? x : learned.add(tape, x, seen);
    }

    @Override
    public Var layers(Tape tape, Var x, int from, int to, Context seen, boolean checkpoint) {
        int time = (int) x.value().size(1);
        Rotary.Table rope = rotary == null ? null : rotary.at(tape, seen.positions(time));
        for (DecoderLayer layer : layers.subList(from, to)) {
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
