package org.qlora4j.family;

import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.Decoder;
import org.qlora4j.model.LayerWindows;
import org.qlora4j.model.Mlp;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.Norm;
import org.qlora4j.model.PreNormDecoder;
import org.qlora4j.model.PreNormLayer;
import org.qlora4j.model.Rope;
import org.qlora4j.model.SelfAttention;
import org.qlora4j.model.Weights;

/**
 * Qwen3 (arXiv 2505.09388; transformers {@code modeling_qwen3.py}): Qwen2 with a norm of each query
 * and key head in place of the biases, and heads whose width is not that of the hidden states.
 *
 * @param normEps added to the mean square in norms
 * @param windows of the upper layers, if any
 * @param attentionBias whether q, k, v and o have a bias
 * @param tieEmbeddings whether the head is the embedding table
 */
record Qwen3Config(
        ModelFacts facts,
        double normEps,
        Rope rope,
        LayerWindows windows,
        boolean attentionBias,
        boolean tieEmbeddings)
        implements Architecture {
    /** From {@code config.json} in the spelling of transformers 4 or 5. */
    static Qwen3Config read(ConfigFile config) {
        config.requireActivation("hidden_act", "silu");
        ModelFacts facts = config.facts(32768, 128);
        return new Qwen3Config(
                facts,
                config.number("rms_norm_eps", 1e-6),
                Rope.of(config, facts),
                Qwen2Config.upperWindows(config, facts),
                config.flag("attention_bias"),
                config.flag("tie_word_embeddings"));
    }

    @Override
    public boolean layersAreAlike() {
        return windows.areAlike(facts);
    }

    @Override
    public Decoder build(Weights weights) {
        return PreNormDecoder.of(
                weights, facts, normEps, tieEmbeddings, rope.tables(facts), this::layer);
    }

    private PreNormLayer layer(int index, Weights weights) {
        int hidden = facts.hiddenSize();
        return new PreNormLayer(
                Norm.rms(weights, "input_layernorm", hidden, normEps),
                Norm.rms(weights, "post_attention_layernorm", hidden, normEps),
                attention(index, weights.in("self_attn")),
                Mlp.gated(weights.in("mlp"), facts, false));
    }

    private SelfAttention attention(int index, Weights weights) {
        int headDim = facts.headDim();
        AttentionShape shape = windows.of(index, AttentionShape.of(headDim));
        return SelfAttention.of(weights, facts, index, shape, attentionBias, attentionBias)
                .withNorms(
                        Norm.rms(weights, "q_norm", headDim, normEps),
                        Norm.rms(weights, "k_norm", headDim, normEps));
    }
}
