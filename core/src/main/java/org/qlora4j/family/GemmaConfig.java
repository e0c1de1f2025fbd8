package org.qlora4j.family;

import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.error.FormatException;
import org.qlora4j.kernel.Gate;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.Decoder;
import org.qlora4j.model.DecoderLayer;
import org.qlora4j.model.Mlp;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.Norm;
import org.qlora4j.model.PreNormLayer;
import org.qlora4j.model.Rope;
import org.qlora4j.model.RotaryTables;
import org.qlora4j.model.SelfAttention;
import org.qlora4j.model.Weights;

/**
 * Gemma 1 (arXiv 2403.08295; transformers {@code modeling_gemma.py}): LLaMA with a GELU gate, norm
 * weights kept around 0, and scaled embeddings.
 *
 * @param normEps added to the mean square in norms
 * @param attentionBias whether q, k, v and o have a bias
 * @param tieEmbeddings whether the head is the embedding table
 */
record GemmaConfig(
        ModelFacts facts, double normEps, Rope rope, boolean attentionBias, boolean tieEmbeddings)
        implements Architecture {
    /** From {@code config.json} in the spelling of transformers 4 or 5. */
    static GemmaConfig read(ConfigFile config) {
        // the first files said gelu and meant the form by tanh, as transformers reads them
        if (!config.text("hidden_act", "gelu").equals("gelu")) {
            config.requireActivation("hidden_act", "gelu_pytorch_tanh");
        }
        requireCausal(config);
        ModelFacts facts = config.facts(8192, 256);
        return new GemmaConfig(
                facts,
                config.number("rms_norm_eps", 1e-6),
                Rope.of(config, facts),
                config.flag("attention_bias"),
                config.flag("tie_word_embeddings", true));
    }

    /** Throws if all positions are to see each other, as in encoders made of Gemma. */
    static void requireCausal(ConfigFile config) {
        if (config.flag("use_bidirectional_attention")) {
            throw FormatException.of(
                    "%s: use_bidirectional_attention is true; models that generate see earlier tokens alone",
                    config.file());
        }
    }

    @Override
    public double normStart() {
        return 0; // weights are kept less 1
    }

    @Override
    public boolean layersAreAlike() {
        return true;
    }

    @Override
    public Decoder build(Weights weights) {
        RotaryTables rotary = weights.keep(rope.tables(facts));
        Weights model = weights.in("model");
        return GemmaDecoder.of(
                model, weights, facts, normEps, tieEmbeddings, 0, layer -> rotary, this::layer);
    }

    private DecoderLayer layer(int index, Weights weights) {
        int hidden = facts.hiddenSize();
        AttentionShape shape = AttentionShape.of(facts.headDim());
        return new PreNormLayer(
                Norm.rmsAroundZero(weights, "input_layernorm", hidden, normEps),
                Norm.rmsAroundZero(weights, "post_attention_layernorm", hidden, normEps),
                SelfAttention.of(
                        weights.in("self_attn"), facts, index, shape, attentionBias, attentionBias),
                Mlp.gated(weights.in("mlp"), facts, Gate.GELU_TANH, false));
    }
}
