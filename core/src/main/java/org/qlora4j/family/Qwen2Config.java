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
 * Qwen2 and Qwen2.5 (arXiv 2407.10671; transformers {@code modeling_qwen2.py}): LLaMA with a bias
 * on queries, keys and values, and perhaps a window in its upper layers.
 *
 * @param normEps added to the mean square in norms
 * @param windows of the upper layers, if any
 * @param tieEmbeddings whether the head is the embedding table
 */
record Qwen2Config(
        ModelFacts facts, double normEps, Rope rope, LayerWindows windows, boolean tieEmbeddings)
        implements Architecture {
    /** From {@code config.json} in the spelling of transformers 4 or 5. */
    static Qwen2Config read(ConfigFile config) {
        config.requireActivation("hidden_act", "silu");
        ModelFacts facts = config.facts(32768);
        return new Qwen2Config(
                facts,
                config.number("rms_norm_eps", 1e-6),
                Rope.of(config, facts),
                upperWindows(config, facts),
                config.flag("tie_word_embeddings"));
    }

    /** Windows as {@code layer_types} says, or else from layer {@code max_window_layers} on. */
    static LayerWindows upperWindows(ConfigFile config, ModelFacts facts) {
        boolean windows = config.flag("use_sliding_window");
        int window = windows ? config.positiveOrNull("sliding_window", 4096) : 0;
        int first = (int) config.number("max_window_layers", 28);
        return LayerWindows.of(config, facts, window, layer -> layer >= first);
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
                SelfAttention.of(weights.in("self_attn"), facts, index, shape, true, false),
                Mlp.gated(weights.in("mlp"), facts, false));
    }
}
