package org.qlora4j.family;

import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.error.FormatException;
import org.qlora4j.kernel.Activation;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.Decoder;
import org.qlora4j.model.DecoderLayer;
import org.qlora4j.model.LearnedPositions;
import org.qlora4j.model.Mlp;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.Norm;
import org.qlora4j.model.PreNormDecoder;
import org.qlora4j.model.PreNormLayer;
import org.qlora4j.model.SelfAttention;
import org.qlora4j.model.Weights;

/**
 * OPT (arXiv 2205.01068; transformers {@code modeling_opt.py}): learned positions behind two unused
 * rows, LayerNorms, a bias in every linear and an MLP with ReLU.
 *
 * @param bias whether linears have one
 * @param activation of the MLP
 * @param tieEmbeddings whether the head is the embedding table
 */
record OptConfig(ModelFacts facts, boolean bias, Activation activation, boolean tieEmbeddings)
        implements Architecture {
    /** OPT's config has no key for it. */
    private static final double NORM_EPS = 1e-5;

    /** Rows of the position table before that of the first place. */
    private static final int FIRST_PLACE = 2;

    private static final ConfigFile.Spelling KEYS =
            new ConfigFile.Spelling(
                    "hidden_size",
                    "ffn_dim",
                    "num_hidden_layers",
                    "num_attention_heads",
                    "max_position_embeddings",
                    null);

    /** From {@code config.json}. */
    static OptConfig read(ConfigFile config) {
        ModelFacts facts = config.facts(KEYS, 2048);
        int width = config.positive("word_embed_proj_dim", facts.hiddenSize());
        if (width != facts.hiddenSize() || !config.flag("do_layer_norm_before", true)) {
            throw FormatException.of(
                    "%s: word_embed_proj_dim %d beside hidden_size %d and do_layer_norm_before %s are those of"
                            + " opt-350m, which is not supported; every other OPT is",
                    config.file(),
                    width,
                    facts.hiddenSize(),
                    config.flag("do_layer_norm_before", true));
        }
        config.requireFlag("layer_norm_elementwise_affine", true);
        config.requireFlag("_remove_final_layer_norm", false);
        return new OptConfig(
                facts,
                config.flag("enable_bias", true),
                config.activation("activation_function", Activation.RELU),
                config.flag("tie_word_embeddings", true));
    }

    @Override
    public boolean layersAreAlike() {
        return true;
    }

    @Override
    public Decoder build(Weights weights) {
        int hidden = facts.hiddenSize();
        Weights model = weights.in("model.decoder");
        Parameter embed = model.parameter("embed_tokens.weight", facts.vocabularySize(), hidden);
        Parameter places =
                model.parameter(
                        "embed_positions.weight", facts.maxPositions() + FIRST_PLACE, hidden);
        return new PreNormDecoder(
                embed,
                new LearnedPositions(places, FIRST_PLACE, true),
                null,
                PreNormDecoder.layers(model.in("layers"), facts.layers(), this::layer),
                Norm.layer(model, "final_layer_norm", hidden, NORM_EPS),
                PreNormDecoder.head(weights, "lm_head", embed, tieEmbeddings));
    }

    private DecoderLayer layer(int index, Weights weights) {
        int hidden = facts.hiddenSize();
        int inner = facts.intermediateSize();
        Weights attention = weights.in("self_attn");
        return new PreNormLayer(
                Norm.layer(weights, "self_attn_layer_norm", hidden, NORM_EPS),
                Norm.layer(weights, "final_layer_norm", hidden, NORM_EPS),
                new SelfAttention(
                        index,
                        facts.heads(),
                        facts.heads(),
                        AttentionShape.of(facts.headDim()),
                        attention.linear("q_proj", hidden, hidden, bias),
                        attention.linear("k_proj", hidden, hidden, bias),
                        attention.linear("v_proj", hidden, hidden, bias),
                        attention.linear("out_proj", hidden, hidden, bias),
                        null,
                        null),
                new Mlp.Plain(
                        weights.linear("fc1", inner, hidden, bias),
                        activation,
                        weights.linear("fc2", hidden, inner, bias)));
    }
}
