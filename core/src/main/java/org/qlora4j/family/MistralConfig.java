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
 * Mistral (arXiv 2310.06825; transformers {@code modeling_mistral.py}): LLaMA whose layers may all
 * look back over a window only.
 *
 * @param normEps added to the mean square in norms
 * @param windows all layers, or none
 * @param tieEmbeddings whether the head is the embedding table
 */
record MistralConfig(
        ModelFacts facts, double normEps, Rope rope, LayerWindows windows, boolean tieEmbeddings)
        implements Architecture {
    /** From {@code config.json} in the spelling of transformers 4 or 5. */
    static MistralConfig read(ConfigFile config) {
        config.requireActivation("hidden_act", "silu");
        ModelFacts facts = config.facts(131072);
        return new MistralConfig(
                facts,
                config.number("rms_norm_eps", 1e-6),
                Rope.of(config, facts),
                LayerWindows.everywhere(config, facts, 4096),
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
        AttentionShape shape = windows.of(index, AttentionShape.of(facts.headDim()));
        return new PreNormLayer(
                Norm.rms(weights, "input_layernorm", hidden, normEps),
                Norm.rms(weights, "post_attention_layernorm", hidden, normEps),
                SelfAttention.of(weights.in("self_attn"), facts, index, shape, false, false),
                Mlp.gated(weights.in("mlp"), facts, false));
    }
}
