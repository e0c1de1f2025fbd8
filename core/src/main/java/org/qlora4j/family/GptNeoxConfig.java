package org.qlora4j.family;

import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Add;
import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.kernel.Activation;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.Context;
import org.qlora4j.model.Decoder;
import org.qlora4j.model.DecoderLayer;
import org.qlora4j.model.FusedAttention;
import org.qlora4j.model.LayerAttention;
import org.qlora4j.model.Mlp;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.Norm;
import org.qlora4j.model.PreNormDecoder;
import org.qlora4j.model.PreNormLayer;
import org.qlora4j.model.Rope;
import org.qlora4j.model.Weights;

/**
 * GPT-NeoX and Pythia (arXiv 2204.06745, 2304.01373; transformers {@code modeling_gpt_neox.py}):
 * attention and MLP side by side, LayerNorms, one projection with each head's queries, keys and
 * values, and angles for a part of each head.
 *
 * @param normEps added to the variance in norms
 * @param rope turns the first values of a head
 * @param parallel whether attention and MLP both start from the layer's input
 * @param bias whether the linears of attention have one
 * @param activation of the MLP
 * @param tieEmbeddings whether the head is the embedding table
 */
record GptNeoxConfig(
        ModelFacts facts,
        double normEps,
        Rope rope,
        boolean parallel,
        boolean bias,
        Activation activation,
        boolean tieEmbeddings)
        implements Architecture {
    /** From {@code config.json} in the spelling of transformers 4 or 5. */
    static GptNeoxConfig read(ConfigFile config) {
        ModelFacts facts = config.facts(ConfigFile.Spelling.COMMON, 2048);
        return new GptNeoxConfig(
                facts,
                config.number("layer_norm_eps", 1e-5),
                rope(config, facts),
                config.flag("use_parallel_residual", true),
                config.flag("attention_bias", true),
                config.activation("hidden_act", Activation.GELU),
                config.flag("tie_word_embeddings"));
    }

    /** Angles; transformers 4 has other names for their base and their share of a head. */
    private static Rope rope(ConfigFile config, ModelFacts facts) {
        ConfigFile named =
                config.withDefault("rope_theta", config.number("rotary_emb_base", 10000))
                        .withDefault("partial_rotary_factor", config.number("rotary_pct", 0.25));
        return Rope.partial(named, facts, facts.maxPositions());
    }

    @Override
    public boolean layersAreAlike() {
        return true;
    }

    @Override
    public Decoder build(Weights weights) {
        int hidden = facts.hiddenSize();
        Weights model = weights.in("gpt_neox");
        Parameter embed = model.parameter("embed_in.weight", facts.vocabularySize(), hidden);
        return new PreNormDecoder(
                embed,
                null,
                weights.keep(rope.tables(facts)),
                PreNormDecoder.layers(model.in("layers"), facts.layers(), this::layer),
                Norm.layer(model, "final_layer_norm", hidden, normEps),
                PreNormDecoder.head(weights, "embed_out", embed, tieEmbeddings));
    }

    private DecoderLayer layer(int index, Weights weights) {
        int hidden = facts.hiddenSize();
        int inner = facts.intermediateSize();
        Norm attentionNorm = Norm.layer(weights, "input_layernorm", hidden, normEps);
        Norm mlpNorm = Norm.layer(weights, "post_attention_layernorm", hidden, normEps);
        Weights attention = weights.in("attention");
        LayerAttention attends =
                new FusedAttention(
                        index,
                        facts.heads(),
                        facts.heads(),
                        facts.headDim(),
                        AttentionShape.of(facts.headDim()),
                        attention.linear("query_key_value", 3 * hidden, hidden, bias),
                        true,
                        attention.linear("dense", hidden, hidden, bias));
        Mlp mlp =
                new Mlp.Plain(
                        weights.linear("mlp.dense_h_to_4h", inner, hidden, true),
                        activation,
                        weights.linear("mlp.dense_4h_to_h", hidden, inner, true));
        return parallel
                ? new Parallel(attentionNorm, mlpNorm, attends, mlp)
                : new PreNormLayer(attentionNorm, mlpNorm, attends, mlp);
    }

    /** Attention and MLP, each on its own norm of the input, added onto it together. */
    private record Parallel(Norm attentionNorm, Norm mlpNorm, LayerAttention attention, Mlp mlp)
            implements DecoderLayer {
        @Override
        public Var forward(Tape tape, Var x, Context seen, Rotary.@Nullable Table rope) {
            Var attended = attention.forward(tape, attentionNorm.forward(tape, x), seen, rope);
            Var mapped = mlp.forward(tape, mlpNorm.forward(tape, x));
            return Add.apply(tape, x, Add.apply(tape, attended, mapped));
        }
    }
}
