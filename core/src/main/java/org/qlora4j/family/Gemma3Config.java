package org.qlora4j.family;

import java.util.Set;
import java.util.TreeSet;
import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.error.FormatException;
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
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;

/**
 * The text model of Gemma 3 (arXiv 2503.19786; transformers {@code modeling_gemma3.py}): Gemma 2
 * with a norm of each query and key head in place of capped scores, and angles of their own in
 * layers with a window.
 *
 * @param normEps added to the mean square in norms
 * @param rope angles of layers that see all
 * @param localRope angles of layers with a window
 * @param scale of the scores
 * @param windows of most layers
 * @param logitCap bound of the logits; 0 for none
 * @param attentionBias whether q, k, v and o have a bias
 * @param tieEmbeddings whether the head is the embedding table
 * @param prefix part of all names in front of {@code model}, of a checkpoint that reads pictures
 *     too; empty for none
 */
record Gemma3Config(
        ModelFacts facts,
        double normEps,
        Rope rope,
        Rope localRope,
        double scale,
        LayerWindows windows,
        double logitCap,
        boolean attentionBias,
        boolean tieEmbeddings,
        String prefix)
        implements Architecture {
    /** Layers of the model with 27 billion weights. */
    public static final int LARGEST = 62;

    private static final int PATTERN = 6;

    private static final Logger LOG = LoggerFactory.getLogger(Gemma3Config.class);

    /** What files of models that read pictures leave out of {@code text_config}. */
    private static final String DEFAULTS =
            """
            {"model_type": "gemma3_text", "vocab_size": 262208, "hidden_size": 2304,
             "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8,
             "num_key_value_heads": 4}
            """;

    /** From {@code config.json} in the spelling of transformers 4 or 5. */
    static Gemma3Config read(ConfigFile config) {
        return read(config, config.eosIds(), tied(config), "");
    }

    /** From the file of a model that reads pictures too, of which the text model is used alone. */
    static Gemma3Config readNested(ConfigFile config) {
        JsonNode text = config.object("text_config");
        if (text == null) {
            throw FormatException.of(
                    "%s: text_config is missing, which model_type gemma3 has; for a text model alone it is gemma3_text",
                    config.file());
        }
        LOG.info("{}: the text model is used alone, without the pictures' weights", config.file());
        ConfigFile nested = new ConfigFile(config.file(), text).withDefaults(DEFAULTS);
        Set<Integer> eos = new TreeSet<>(config.eosIds());
        eos.addAll(nested.eosIds());
        boolean tied = config.flag("tie_word_embeddings", tied(nested)); // the outer file's counts
        return read(nested, eos, tied, "language_model");
    }

    private static Gemma3Config read(
            ConfigFile config, Set<Integer> eosIds, boolean tied, String prefix) {
        config.requireActivation("hidden_activation", "gelu_pytorch_tanh");
        GemmaConfig.requireCausal(config);
        if (config.numberOrNull("attn_logit_softcapping", 0) != 0) {
            throw FormatException.of(
                    "%s: attn_logit_softcapping must be null, got %s; Gemma 3 caps no scores",
                    config.file(), config.node("attn_logit_softcapping"));
        }
        ModelFacts facts = config.facts(131072, 256).withEosIds(eosIds);
        int window = config.positiveOrNull("sliding_window", 4096);
        int pattern =
                config.positive(
                        "sliding_window_pattern",
                        config.positive("_sliding_window_pattern", PATTERN));
        return new Gemma3Config(
                facts,
                config.number("rms_norm_eps", 1e-6),
                rope(config, facts, "full_attention", "rope_theta", 1e6),
                rope(config, facts, "sliding_attention", "rope_local_base_freq", 1e4),
                1 / Math.sqrt(config.positive("query_pre_attn_scalar", 256)),
                LayerWindows.of(config, facts, window, layer -> (layer + 1) % pattern != 0),
                config.numberOrNull("final_logit_softcapping", 0),
                config.flag("attention_bias"),
                tied,
                prefix);
    }

    private static boolean tied(ConfigFile config) {
        return config.flag("tie_word_embeddings", true);
    }

    /**
     * The angles of one kind of layer: {@code rope_parameters} has an object for each (v5), or
     * {@code rope_scaling} is of the layers that see all (v4).
     */
    private static Rope rope(
            ConfigFile config, ModelFacts facts, String kind, String thetaKey, double theta) {
        JsonNode byKind = config.object("rope_parameters");
        JsonNode own = byKind == null ? null : byKind.get(kind);
        if (own == null && kind.equals("full_attention")) {
            own = config.object("rope_scaling");
        }
        ConfigFile parameters =
                own == null
                        ? new ConfigFile(config.file(), JsonNodeFactory.instance.objectNode())
                        : new ConfigFile(config.file(), own);
        return Rope.ofParameters(parameters, facts, config.number(thetaKey, theta));
    }

    /** Whether a layer has a window where the file names no pattern. */
    public static boolean slides(int layer) {
        return (layer + 1) % PATTERN != 0;
    }

    @Override
    public double normStart() {
        return 0; // weights are kept less 1
    }

    @Override
    public Decoder build(Weights weights) {
        Weights all = prefix.isEmpty() ? weights : weights.in(prefix);
        RotaryTables global = weights.keep(rope.tables(facts));
        RotaryTables local = weights.keep(localRope.tables(facts));
        return GemmaDecoder.of(
                all.in("model"),
                all,
                facts,
                normEps,
                tieEmbeddings,
                logitCap,
                layer -> windows.slides(layer) ? local : global,
                this::layer);
    }

    private DecoderLayer layer(int index, Weights weights) {
        return new SandwichLayer(
                norm(weights, "input_layernorm", facts.hiddenSize()),
                norm(weights, "post_attention_layernorm", facts.hiddenSize()),
                norm(weights, "pre_feedforward_layernorm", facts.hiddenSize()),
                norm(weights, "post_feedforward_layernorm", facts.hiddenSize()),
                attention(index, weights.in("self_attn")),
                Mlp.gated(weights.in("mlp"), facts, Gate.GELU_TANH, false));
    }

    private SelfAttention attention(int index, Weights weights) {
        AttentionShape shape = windows.of(index, new AttentionShape(scale, 0, 0));
        return SelfAttention.of(weights, facts, index, shape, attentionBias, attentionBias)
                .withNorms(
                        norm(weights, "q_norm", facts.headDim()),
                        norm(weights, "k_norm", facts.headDim()));
    }

    private Norm norm(Weights weights, String name, int size) {
        return Norm.rmsAroundZero(weights, name, size, normEps);
    }
}
