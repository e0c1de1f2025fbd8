package org.qlora4j.family;

import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.kernel.Gate;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.Decoder;
import org.qlora4j.model.DecoderLayer;
import org.qlora4j.model.LayerWindows;
import org.qlora4j.model.Mlp;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.Norm;
import org.qlora4j.model.Rope;
import org.qlora4j.model.RotaryTables;
import org.qlora4j.model.SandwichLayer;
import org.qlora4j.model.SelfAttention;
import org.qlora4j.model.Weights;

/**
 * Gemma 2 (arXiv 2408.00118; transformers {@code modeling_gemma2.py}): Gemma with norms on both
 * sides of attention and MLP, capped scores and logits, and a window in every other layer.
 *
 * @param normEps added to the mean square in norms
 * @param attention scale and cap of the scores
 * @param windows of every other layer
 * @param logitCap bound of the logits; 0 for none
 * @param attentionBias whether q, k, v and o have a bias
 * @param tieEmbeddings whether the head is the embedding table
 */
record Gemma2Config(
        ModelFacts facts,
        double normEps,
        Rope rope,
        AttentionShape attention,
        LayerWindows windows,
        double logitCap,
        boolean attentionBias,
        boolean tieEmbeddings)
        implements Architecture {
    /** Layers of the model with 27 billion weights. */
    public static final int LARGEST = 46;

    /** From {@code config.json} in the spelling of transformers 4 or 5. */
    static Gemma2Config read(ConfigFile config) {
        config.requireActivation("hidden_activation", "gelu_pytorch_tanh");
        GemmaConfig.requireCausal(config);
        ModelFacts facts = config.facts(8192, 256);
        double scale = 1 / Math.sqrt(config.positive("query_pre_attn_scalar", 256));
        int window = config.positiveOrNull("sliding_window", 4096);
        return new Gemma2Config(
                facts,
                config.number("rms_norm_eps", 1e-6),
                Rope.of(config, facts),
                new AttentionShape(scale, config.numberOrNull("attn_logit_softcapping", 50), 0),
                LayerWindows.of(config, facts, window, Gemma2Config::slides),
                config.numberOrNull("final_logit_softcapping", 30),
                config.flag("attention_bias"),
                config.flag("tie_word_embeddings", true));
    }

    /** Whether a layer has a window where the file has no {@code layer_types}. */
    public static boolean slides(int layer) {
        return layer % 2 == 0;
    }

    @Override
    public double normStart() {
        return 0; // weights are kept less 1
    }

    @Override
    public Decoder build(Weights weights) {
        RotaryTables rotary = weights.keep(rope.tables(facts));
        return GemmaDecoder.of(
                weights.in("model"),
                weights,
                facts,
                normEps,
                tieEmbeddings,
                logitCap,
                layer -> rotary,
                this::layer);
    }

    private DecoderLayer layer(int index, Weights weights) {
        AttentionShape shape = windows.of(index, attention);
        return new SandwichLayer(
                norm(weights, "input_layernorm"),
                norm(weights, "post_attention_layernorm"),
                norm(weights, "pre_feedforward_layernorm"),
                norm(weights, "post_feedforward_layernorm"),
                SelfAttention.of(
                        weights.in("self_attn"), facts, index, shape, attentionBias, attentionBias),
                Mlp.gated(weights.in("mlp"), facts, Gate.GELU_TANH, false));
    }

    private Norm norm(Weights weights, String name) {
        return Norm.rmsAroundZero(weights, name, facts.hiddenSize(), normEps);
    }
}
