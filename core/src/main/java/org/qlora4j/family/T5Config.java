package org.qlora4j.family;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Add;
import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.Embedding;
import org.qlora4j.autograd.Head;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.PositionBias;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.kernel.Activation;
import org.qlora4j.kernel.Gate;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.Context;
import org.qlora4j.model.CrossAttention;
import org.qlora4j.model.Decoder;
import org.qlora4j.model.DecoderLayer;
import org.qlora4j.model.EncoderDecoder;
import org.qlora4j.model.Mlp;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.Norm;
import org.qlora4j.model.PreNormDecoder;
import org.qlora4j.model.SelfAttention;
import org.qlora4j.model.SourceContext;
import org.qlora4j.model.Task;
import org.qlora4j.model.Weights;
import org.qlora4j.tensor.Tensor;

/**
 * T5 and Flan-T5 (arXiv 1910.10683, 2210.11416; transformers {@code modeling_t5.py}): an encoder
 * and a decoder that sees its result, distances learnt as a bias of scores, scores that are not
 * scaled.
 *
 * @param facts layers are the decoder's
 * @param encoderLayers the encoder's
 * @param normEps added to the mean square in norms
 * @param buckets of distances
 * @param maxDistance from which on all are in the last bucket
 * @param gate of the MLP (version 1.1, Flan); null where it has none
 * @param activation of an MLP without a gate
 * @param tied whether the head is the embedding table, behind a scale (version 1.0)
 * @param startId what a target begins with
 */
record T5Config(
        ModelFacts facts,
        int encoderLayers,
        double normEps,
        int buckets,
        int maxDistance,
        @Nullable Gate gate,
        Activation activation,
        boolean tied,
        int startId)
        implements Architecture {
    /** Distances have no end, and so texts none; a bound for what is planned. */
    private static final int LONGEST = 1 << 16;

    /** From {@code config.json} in the spelling of transformers 4 or 5. */
    static T5Config read(ConfigFile config) {
        int encoderLayers = config.positive("num_layers");
        boolean alike = config.node("num_decoder_layers") == null;
        ModelFacts facts = config.facts(keys(alike ? "num_layers" : "num_decoder_layers"), LONGEST);
        String projection = config.text("feed_forward_proj", "relu");
        Gate gate =
                switch (projection) {
                    case "gated-gelu" ->
                            Gate.GELU_TANH; // that form, as transformers' T5Config says
                    case "gated-silu" -> Gate.SILU;
                    default -> null;
                };
        Activation activation =
                Activation.named(gate == null ? projection : "relu")
                        .orElseThrow(() ->
                                FormatException.of(
                                        "%s: feed_forward_proj \"%s\" is not supported; supported: gated-gelu, gated-silu, %s",
                                        config.file(),
                                        projection,
                                        String.join(", ", Activation.allNames())));
        boolean tied = config.flag("tie_word_embeddings", true);
        return new T5Config(
                facts,
                encoderLayers,
                config.number("layer_norm_epsilon", 1e-6),
                config.positive("relative_attention_num_buckets", 32),
                config.positive("relative_attention_max_distance", 128),
                gate,
                activation,
                // transformers 5 writes tie_word_embeddings true for every version
                config.flag("scale_decoder_outputs", tied),
                (int) config.number("decoder_start_token_id", 0));
    }

    /** T5's config has no key for a context length. */
    private static ConfigFile.Spelling keys(String layers) {
        return new ConfigFile.Spelling("d_model", "d_ff", layers, "num_heads", "", "d_kv");
    }

    @Override
    public Task task() {
        return new Task.SequenceToSequence(startId);
    }

    @Override
    public Decoder build(Weights weights) {
        int hidden = facts.hiddenSize();
        Parameter shared = weights.parameter("shared.weight", facts.vocabularySize(), hidden);
        Stack encoder = stack(weights.in("encoder"), encoderLayers, shared, false);
        Stack decoder = stack(weights.in("decoder"), facts.layers(), shared, true);
        Head head = PreNormDecoder.head(weights, "lm_head", shared, tied);
        double scale = tied ? 1 / Math.sqrt(hidden) : 1;
        return new Model(encoder, decoder, new Head(head.weight(), null, 0, scale));
    }

    private Stack stack(Weights weights, int layers, Parameter shared, boolean decodes) {
        // the first layer's table serves all
        Parameter table =
                weights.parameter(
                        "block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                        buckets,
                        facts.heads());
        PositionBias bias = new PositionBias(table, !decodes, maxDistance);
        return new Stack(
                shared,
                PreNormDecoder.layers(
                        weights.in("block"),
                        layers,
                        (index, block) -> layer(index, block.in("layer"), bias, decodes)),
                Norm.rms(weights, "final_layer_norm", facts.hiddenSize(), normEps));
    }

    private DecoderLayer layer(int index, Weights weights, PositionBias bias, boolean decodes) {
        int hidden = facts.hiddenSize();
        int heads = facts.heads();
        int width = heads * facts.headDim();
        Weights self = weights.in("0.SelfAttention");
        SelfAttention attention =
                new SelfAttention(
                        index,
                        heads,
                        heads,
                        AttentionShape.biased(bias),
                        self.linear("q", width, hidden, false),
                        self.linear("k", width, hidden, false),
                        self.linear("v", width, hidden, false),
                        self.linear("o", hidden, width, false),
                        null,
                        null);
        Norm attentionNorm = Norm.rms(weights, "0.layer_norm", hidden, normEps);
        CrossAttention cross = null;
        Norm crossNorm = null;
        if (decodes) {
            Weights to = weights.in("1.EncDecAttention");
            cross =
                    new CrossAttention(
                            index,
                            heads,
                            AttentionShape.biased(null),
                            to.linear("q", width, hidden, false),
                            to.linear("k", width, hidden, false),
                            to.linear("v", width, hidden, false),
                            to.linear("o", hidden, width, false));
            crossNorm = Norm.rms(weights, "1.layer_norm", hidden, normEps);
        }
        Weights last = weights.in(decodes ? "2" : "1");
        return new Layer(
                attentionNorm,
                attention,
                crossNorm,
                cross,
                Norm.rms(last, "layer_norm", hidden, normEps),
                mlp(last.in("DenseReluDense")));
    }

    private Mlp mlp(Weights weights) {
        int hidden = facts.hiddenSize();
        int inner = facts.intermediateSize();
        return gate == null
                ? new Mlp.Plain(
                        weights.linear("wi", inner, hidden, false),
                        activation,
                        weights.unquantized("wo", hidden, inner))
                : new Mlp.Gated(
                        gate,
                        weights.linear("wi_0", inner, hidden, false),
                        weights.linear("wi_1", inner, hidden, false),
                        weights.unquantized("wo", hidden, inner));
    }

    /**
     * Attention, attention to the source if it decodes, MLP; each on a norm, added to its input.
     */
    private record Layer(
            Norm attentionNorm,
            SelfAttention attention,
            @Nullable Norm crossNorm,
            @Nullable CrossAttention cross,
            Norm mlpNorm,
            Mlp mlp)
            implements DecoderLayer {
        @Override
        public Var forward(Tape tape, Var x, Context seen, Rotary.@Nullable Table rope) {
            var own = attention.forward(tape, attentionNorm.forward(tape, x), seen, rope);
            Var h = Add.apply(tape, x, own);
            if (cross != null && crossNorm != null && seen instanceof SourceContext both) {
                h = Add.apply(tape, h, cross.forward(tape, crossNorm.forward(tape, h), both));
            }
            return Add.apply(tape, h, mlp.forward(tape, mlpNorm.forward(tape, h)));
        }
    }

    /** Layers and a norm over the embeddings of ids. */
    private record Stack(Parameter shared, List<DecoderLayer> layers, Norm norm) {
        Var forward(Tape tape, Tensor ids, Context seen, boolean checkpoint) {
            Var x = Embedding.apply(tape, shared, ids); // [batch, time, hidden]
            for (DecoderLayer layer : layers) {
                x = tape.block(x, checkpoint, (t, in) -> layer.forward(t, in, seen, null));
            }
            seen.advance((int) ids.size(1));
            return norm.forward(tape, x);
        }
    }

    private record Model(Stack encoder, Stack decoder, Head head) implements EncoderDecoder {
        @Override
        public Var encode(Tape tape, Tensor ids, Context seen, boolean checkpoint) {
            return encoder.forward(tape, ids, seen, checkpoint);
        }

        @Override
        public Var hidden(Tape tape, Tensor ids, Context seen, boolean checkpoint) {
            if (!(seen instanceof SourceContext)) {
                throw new ConfigException(
                        "t5 models answer a source, and do not go on with a text: they give no probabilities of texts");
            }
            return decoder.forward(tape, ids, seen, checkpoint);
        }

        @Override
        public List<Parameter> tables() {
            return head.tables(encoder.shared);
        }
    }
}
