package org.qlora4j.family;

import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.kernel.Activation;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.Decoder;
import org.qlora4j.model.DecoderLayer;
import org.qlora4j.model.FusedAttention;
import org.qlora4j.model.LearnedPositions;
import org.qlora4j.model.Mlp;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.Norm;
import org.qlora4j.model.PreNormDecoder;
import org.qlora4j.model.PreNormLayer;
import org.qlora4j.model.Weights;

/**
 * GPT-2 (Radford et al. 2019; transformers {@code modeling_gpt2.py}): learned positions,
 * LayerNorms, one projection for queries, keys and values, and weights of linears that checkpoints
 * have transposed.
 *
 * @param normEps added to the variance in norms
 * @param activation of the MLP
 * @param scaled whether scores are divided by the root of a head's width
 * @param scaledByLayer whether scores are also divided by the layer's number from 1
 * @param tieEmbeddings whether the head is the embedding table
 */
record Gpt2Config(
        ModelFacts facts,
        double normEps,
        Activation activation,
        boolean scaled,
        boolean scaledByLayer,
        boolean tieEmbeddings)
        implements Architecture {
    private static final ConfigFile.Spelling KEYS =
            new ConfigFile.Spelling("n_embd", "n_inner", "n_layer", "n_head", "n_positions", null);

    /** From {@code config.json}. */
    static Gpt2Config read(ConfigFile config) {
        config.requireFlag("add_cross_attention", false);
        return new Gpt2Config(
                config.facts(KEYS, 1024),
                config.number("layer_norm_epsilon", 1e-5),
                config.activation("activation_function", Activation.GELU_TANH),
                config.flag("scale_attn_weights", true),
                config.flag("scale_attn_by_inverse_layer_idx"),
                config.flag("tie_word_embeddings", true));
    }

    @Override
    public boolean layersAreAlike() {
        return true;
    }

    @Override
    public Decoder build(Weights weights) {
        int hidden = facts.hiddenSize();
        Weights model = weights.in("transformer");
        Parameter embed = model.parameter("wte.weight", facts.vocabularySize(), hidden);
        Parameter places = model.parameter("wpe.weight", facts.maxPositions(), hidden);
        return new PreNormDecoder(
                embed,
                new LearnedPositions(places, 0, false),
                null,
                PreNormDecoder.layers(model.in("h"), facts.layers(), this::layer),
                Norm.layer(model, "ln_f", hidden, normEps),
                PreNormDecoder.head(weights, "lm_head", embed, tieEmbeddings));
    }

    private DecoderLayer layer(int index, Weights weights) {
        int hidden = facts.hiddenSize();
        int inner = facts.intermediateSize();
        double scale =
                (scaled ? 1 / Math.sqrt(facts.headDim()) : 1) / (scaledByLayer ? index + 1 : 1);
        return new PreNormLayer(
                Norm.layer(weights, "ln_1", hidden, normEps),
                Norm.layer(weights, "ln_2", hidden, normEps),
                new FusedAttention(
                        index,
                        facts.heads(),
                        facts.heads(),
                        facts.headDim(),
                        new AttentionShape(scale, 0, 0),
                        weights.conv1d("attn.c_attn", 3 * hidden, hidden),
                        false,
                        weights.conv1d("attn.c_proj", hidden, hidden)),
                new Mlp.Plain(
                        weights.conv1d("mlp.c_fc", inner, hidden),
                        activation,
                        weights.conv1d("mlp.c_proj", hidden, inner)));
    }
}
