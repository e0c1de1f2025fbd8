package org.qlora4j.family;

import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.error.FormatException;
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
import tools.jackson.databind.JsonNode;

/**
 * Qwen2 and Qwen2.5 (arXiv 2407.10671; transformers {@code modeling_qwen2.py}): LLaMA with a bias
 * on queries, keys and values, and perhaps a window in its upper layers.
 *
 * @param normEps added to the mean square in norms
 * @param window positions that a query looks back over in layers with a window; 0 for none
 * @param firstWindow the first layer with a window
 * @param tieEmbeddings whether the head is the embedding table
 */
public record Qwen2Config(
        ModelFacts facts,
        double normEps,
        Rope rope,
        int window,
        int firstWindow,
        boolean tieEmbeddings)
        implements Architecture {
    /** From {@code config.json} in the spelling of transformers 4 or 5. */
    static Qwen2Config read(ConfigFile config) {
        config.requireActivation("hidden_act", "silu");
        ModelFacts facts = config.facts(32768);
        boolean windows = config.flag("use_sliding_window");
        int window = windows ? config.positive("sliding_window", 4096) : 0;
        int first = (int) config.number("max_window_layers", 28);
        requireRegular(config, windows, first);
        return new Qwen2Config(
                facts,
                config.number("rms_norm_eps", 1e-6),
                Rope.of(config, facts.maxPositions()),
                window,
                first,
                config.flag("tie_word_embeddings"));
    }

    /** Refuses {@code layer_types} that are not what {@code max_window_layers} says. */
    private static void requireRegular(ConfigFile config, boolean windows, int first) {
        JsonNode types = config.node("layer_types");
        for (int i = 0; types != null && i < types.size(); i++) {
            boolean slides = types.get(i).asString("").equals("sliding_attention");
            if (slides != (windows && i >= first)) {
                throw FormatException.of(
                        "%s: layer_types says %s for layer %d, which use_sliding_window and"
                                + " max_window_layers contradict",
                        config.file(), types.get(i), i);
            }
        }
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
                        weights.in("self_attn"),
                        facts,
                        index,
                        index < firstWindow ? shape : shape.withWindow(window),
                        true,
                        false),
                Mlp.gated(weights.in("mlp"), facts, false));
    }
}
