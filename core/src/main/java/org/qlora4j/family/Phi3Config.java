package org.qlora4j.family;

import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.kernel.Gate;
import org.qlora4j.lora.LinearLayer;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.Decoder;
import org.qlora4j.model.FusedAttention;
import org.qlora4j.model.LayerWindows;
import org.qlora4j.model.Mlp;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.Norm;
import org.qlora4j.model.PreNormDecoder;
import org.qlora4j.model.PreNormLayer;
import org.qlora4j.model.Rope;
import org.qlora4j.model.Weights;

/**
 * Phi-3, Phi-3.5 and Phi-4 (arXiv 2404.14219; transformers {@code modeling_phi3.py}): LLaMA with
 * fused projections, and for long texts angles by longrope, perhaps of a part of each head. The
 * fused linears stay whole, so that adapters match PEFT's.
 *
 * @param normEps added to the mean square in norms
 * @param windows all layers, or none
 * @param tieEmbeddings whether the head is the embedding table
 */
record Phi3Config(
        ModelFacts facts, double normEps, Rope rope, LayerWindows windows, boolean tieEmbeddings)
        implements Architecture {
    /** Context length before a stretch, where the file does not say. */
    private static final int ORIGINAL_POSITIONS = 4096;

    /** From {@code config.json} in the spelling of transformers 4 or 5. */
    static Phi3Config read(ConfigFile config) {
        config.requireActivation("hidden_act", "silu");
        ModelFacts facts = config.facts(4096);
        return new Phi3Config(
                facts,
                config.number("rms_norm_eps", 1e-5),
                Rope.partial(config, facts, ORIGINAL_POSITIONS),
                LayerWindows.everywhere(config, facts, 0),
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
        int inner = facts.intermediateSize();
        Weights mlp = weights.in("mlp");
        return new PreNormLayer(
                Norm.rms(weights, "input_layernorm", hidden, normEps),
                Norm.rms(weights, "post_attention_layernorm", hidden, normEps),
                attention(index, weights.in("self_attn")),
                new Mlp.FusedGated(
                        Gate.SILU,
                        mlp.linear("gate_up_proj", 2 * inner, hidden, false),
                        mlp.linear("down_proj", hidden, inner, false)));
    }

    private FusedAttention attention(int index, Weights weights) {
        int hidden = facts.hiddenSize();
        int headDim = facts.headDim();
        int queries = facts.heads() * headDim;
        int keys = facts.kvHeads() * headDim;
        LinearLayer qkv = weights.linear("qkv_proj", queries + 2 * keys, hidden, false);
        LinearLayer o = weights.linear("o_proj", hidden, queries, false);
        return new FusedAttention(
                index,
                facts.heads(),
                facts.kvHeads(),
                headDim,
                windows.of(index, AttentionShape.of(headDim)),
                qkv,
                false,
                o);
    }
}
