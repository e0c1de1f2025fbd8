package org.qlora4j.family;

import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.Decoder;
import org.qlora4j.model.Mlp;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.Norm;
import org.qlora4j.model.PreNormDecoder;
import org.qlora4j.model.PreNormLayer;
import org.qlora4j.model.Rope;
import org.qlora4j.model.SelfAttention;
import org.qlora4j.model.Weights;

/**
 * LLaMA (arXiv 2302.13971; transformers {@code modeling_llama.py}), versions 1 to 3 and models of
 * that shape.
 *
 * @param normEps added to the mean square in norms
 * @param attentionBias whether q, k, v and o have a bias
 * @param mlpBias whether gate, up and down have a bias
 * @param tieEmbeddings whether the head is the embedding table
 */
record LlamaConfig(
        ModelFacts facts,
        double normEps,
        Rope rope,
        boolean attentionBias,
        boolean mlpBias,
        boolean tieEmbeddings)
        implements Architecture {
    /** From {@code config.json} in the spelling of transformers 4 or 5. */
    static LlamaConfig read(ConfigFile config) {
        config.requireActivation("hidden_act", "silu");
        ModelFacts facts = config.facts(2048);
        return new LlamaConfig(
                facts,
                config.number("rms_norm_eps", 1e-6),
                Rope.of(config, facts),
                config.flag("attention_bias"),
                config.flag("mlp_bias"),
                config.flag("tie_word_embeddings"));
    }

    @Override
    public boolean layersAreAlike() {
        return true;
    }

    @Override
    public Decoder build(Weights weights) {
        return PreNormDecoder.of(
                weights, facts, normEps, tieEmbeddings, rope.tables(facts), this::layer);
    }

    private PreNormLayer layer(int index, Weights weights) {
        int hidden = facts.hiddenSize();
        AttentionShape shape = AttentionShape.of(facts.headDim());
        return new PreNormLayer(
                Norm.rms(weights, "input_layernorm", hidden, normEps),
                Norm.rms(weights, "post_attention_layernorm", hidden, normEps),
                SelfAttention.of(
                        weights.in("self_attn"), facts, index, shape, attentionBias, attentionBias),
                Mlp.gated(weights.in("mlp"), facts, mlpBias));
    }
}
