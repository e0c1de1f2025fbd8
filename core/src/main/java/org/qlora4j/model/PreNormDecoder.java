package org.qlora4j.model;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import org.qlora4j.autograd.Embedding;
import org.qlora4j.autograd.Head;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.autograd.Weight;
import org.qlora4j.tensor.Tensor;

/**
 * The decoder of LLaMA and its kin: token embeddings, layers with rotary angles, a norm, and a head
 * that may be the embedding table.
 *
 * @param embedTokens [vocabulary, hidden]
 */
public record PreNormDecoder(
        Parameter embedTokens, RotaryTables rotary, List<PreNormLayer> layers, Norm norm, Head head)
        implements Decoder {
    /**
     * Asks for the weights in the order that checkpoints of training keep.
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
            BiFunction<Integer, Weights, PreNormLayer> layer) {
        int rows = facts.vocabularySize();
        int hidden = facts.hiddenSize();
        Weights model = weights.in("model");
        Parameter embed = model.parameter("embed_tokens.weight", rows, hidden);
        List<PreNormLayer> layers = new ArrayList<>();
        for (int i = 0; i < facts.layers(); i++) {
            layers.add(layer.apply(i, model.in("layers." + i)));
        }
        Norm norm = Norm.rms(model, "norm", hidden, normEps);
        Parameter head =
                tied || !weights.has("lm_head.weight")
                        ? embed
                        : weights.parameter("lm_head.weight", rows, hidden);
        return new PreNormDecoder(
                embed,
                weights.keep(rotary),
                List.copyOf(layers),
                norm,
                Head.of(new Weight.Dense(head)));
    }

    @Override
    public Var hidden(Tape tape, Tensor ids, Context seen, boolean checkpoint) {
        int time = (int) ids.size(1);
        Rotary.Table rope = rotary.at(tape, seen.positions(time));
        Var x = Embedding.apply(tape, embedTokens, ids); // [batch, time, hidden]
        for (PreNormLayer layer : layers) {
            x = tape.block(x, checkpoint, (t, in) -> layer.forward(t, in, seen, rope));
        }
        seen.advance(time);
        return norm.forward(tape, x);
    }

    @Override
    public List<Parameter> tables() {
        return head.weight() instanceof Weight.Dense(Parameter p) && p != embedTokens
                ? List.of(embedTokens, p)
                : List.of(embedTokens);
    }
}
