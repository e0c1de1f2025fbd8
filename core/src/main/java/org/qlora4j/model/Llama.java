package org.qlora4j.model;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Add;
import org.qlora4j.autograd.Attention;
import org.qlora4j.autograd.AttentionMask;
import org.qlora4j.autograd.Embedding;
import org.qlora4j.autograd.GatedMlp;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.RmsNorm;
import org.qlora4j.autograd.Rotary;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.autograd.Weight;
import org.qlora4j.lora.LoraLinear;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * LLaMA (arXiv 2302.13971; transformers {@code modeling_llama.py}), versions 1 to 3 and models of
 * that shape.
 */
public final class Llama implements CausalModel {
    private final LlamaConfig config;
    private final DType compute;
    private final Parameter embedTokens; // [vocabulary, hidden]
    private final List<Layer> layers;
    private final Parameter norm; // [hidden]
    private final Weight
            head; // [vocabulary, hidden]; the embedding table itself where they are tied
    private final WeightLoader.Shared shared;
    private final RotaryTables rotary;
    private int vocabularySize;

    /** One decoder layer, its parts named as in the checkpoint. */
    private record Layer(
            int index,
            Parameter inputLayernorm,
            LoraLinear qProj,
            LoraLinear kProj,
            LoraLinear vProj,
            LoraLinear oProj,
            Parameter postAttentionLayernorm,
            LoraLinear gateProj,
            LoraLinear upProj,
            LoraLinear downProj) {
        List<LoraLinear> linears() {
            return List.of(qProj, kProj, vProj, oProj, gateProj, upProj, downProj);
        }
    }

    private Llama(
            LlamaConfig config,
            DType compute,
            Parameter embedTokens,
            List<Layer> layers,
            Parameter norm,
            Weight head,
            WeightLoader.Shared shared) {
        this.config = config;
        this.compute = compute;
        this.embedTokens = embedTokens;
        this.layers = layers;
        this.norm = norm;
        this.head = head;
        this.shared = shared;
        this.vocabularySize = config.vocabularySize();
        this.rotary =
                new RotaryTables(
                        config.ropeScaling(),
                        config.headDim(),
                        config.ropeTheta(),
                        config.maxPositions());
    }

    /** Reads the weights of a checkpoint, tensor by tensor, quantizing linears as they come. */
    static Llama load(LlamaConfig c, WeightLoader loader) {
        int attention = c.heads() * c.headDim();
        int grouped = c.kvHeads() * c.headDim();
        Parameter embed =
                loader.parameter("model.embed_tokens.weight", c.vocabularySize(), c.hiddenSize());
        List<Layer> layers = new ArrayList<>();
        for (int i = 0; i < c.layers(); i++) {
            String p = "model.layers." + i + ".";
            layers.add(
                    new Layer(
                            i,
                            loader.parameter(p + "input_layernorm.weight", c.hiddenSize()),
                            loader.linear(
                                    p + "self_attn.q_proj",
                                    attention,
                                    c.hiddenSize(),
                                    c.attentionBias()),
                            loader.linear(
                                    p + "self_attn.k_proj",
                                    grouped,
                                    c.hiddenSize(),
                                    c.attentionBias()),
                            loader.linear(
                                    p + "self_attn.v_proj",
                                    grouped,
                                    c.hiddenSize(),
                                    c.attentionBias()),
                            loader.linear(
                                    p + "self_attn.o_proj",
                                    c.hiddenSize(),
                                    attention,
                                    c.attentionBias()),
                            loader.parameter(p + "post_attention_layernorm.weight", c.hiddenSize()),
                            loader.linear(
                                    p + "mlp.gate_proj",
                                    c.intermediateSize(),
                                    c.hiddenSize(),
                                    c.mlpBias()),
                            loader.linear(
                                    p + "mlp.up_proj",
                                    c.intermediateSize(),
                                    c.hiddenSize(),
                                    c.mlpBias()),
                            loader.linear(
                                    p + "mlp.down_proj",
                                    c.hiddenSize(),
                                    c.intermediateSize(),
                                    c.mlpBias())));
        }
        Parameter norm = loader.parameter("model.norm.weight", c.hiddenSize());
        // a checkpoint without a head has tied embeddings, whatever its config says
        boolean tied = c.tieEmbeddings() || !loader.has("lm_head.weight");
        Weight head =
                new Weight.Dense(
                        tied
                                ? embed
                                : loader.parameter(
                                        "lm_head.weight", c.vocabularySize(), c.hiddenSize()));
        return new Llama(c, loader.compute(), embed, layers, norm, head, loader.shared());
    }

    @Override
    public Var hidden(
            Tape tape,
            Tensor ids,
            AttentionMask mask,
            @Nullable PastKeyValues cache,
            boolean checkpoint) {
        int time = (int) ids.size(1);
        int[] positions = mask.positions();
        Rotary.Table rope =
                cache != null
                        ? cache.angles(tape, rotary, time)
                        : positions != null
                                ? rotary.at(tape, positions, time)
                                : rotary.at(tape, 0, time);
        Var x = Embedding.apply(tape, embedTokens, ids); // [batch, time, hidden]
        for (Layer layer : layers) {
            x = tape.block(x, checkpoint, (t, in) -> decoderLayer(t, layer, in, rope, mask, cache));
        }
        if (cache != null) {
            cache.advance(time);
        }
        return RmsNorm.apply(tape, x, norm, config.normEps());
    }

    /**
     * Attention, then the MLP, each on a normed input and added onto the residual stream x [batch,
     * time, hidden].
     */
    private Var decoderLayer(
            Tape tape,
            Layer layer,
            Var x,
            Rotary.Table rope,
            AttentionMask mask,
            @Nullable PastKeyValues cache) {
        Var h =
                Add.apply(
                        tape,
                        x,
                        attention(
                                tape,
                                layer,
                                norm(tape, x, layer.inputLayernorm),
                                rope,
                                mask,
                                cache));
        return Add.apply(tape, h, mlp(tape, layer, norm(tape, h, layer.postAttentionLayernorm)));
    }

    private Var attention(
            Tape tape,
            Layer layer,
            Var x,
            Rotary.Table rope,
            AttentionMask mask,
            @Nullable PastKeyValues cache) {
        Var q = Rotary.apply(tape, layer.qProj.forward(tape, x), rope, config.heads());
        Var k = Rotary.apply(tape, layer.kProj.forward(tape, x), rope, config.kvHeads());
        Var v = layer.vProj.forward(tape, x);
        Var seen =
                cache == null
                        ? Attention.apply(tape, q, k, v, mask)
                        : cache.attend(tape, layer.index, q, k, v, mask);
        return layer.oProj.forward(tape, seen);
    }

    private Var mlp(Tape tape, Layer layer, Var x) {
        Var gate = layer.gateProj.forward(tape, x);
        Var up = layer.upProj.forward(tape, x);
        return layer.downProj.forward(tape, GatedMlp.apply(tape, gate, up));
    }

    private Var norm(Tape tape, Var x, Parameter weight) {
        return RmsNorm.apply(tape, x, weight, config.normEps());
    }

    @Override
    public Weight head() {
        return head;
    }

    @Override
    public InferenceHead inferenceHead() {
        return shared.head();
    }

    @Override
    public List<LoraLinear> linears() {
        return layers.stream().flatMap(l -> l.linears().stream()).toList();
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> out = new ArrayList<>();
        out.add(embedTokens);
        for (Layer layer : layers) {
            out.add(layer.inputLayernorm);
            out.add(layer.postAttentionLayernorm);
            for (LoraLinear linear : layer.linears()) {
                if (linear.weight() instanceof Weight.Dense(Parameter p)) {
                    out.add(p);
                }
                if (linear.bias() != null) {
                    out.add(linear.bias());
                }
            }
        }
        out.add(norm);
        if (head instanceof Weight.Dense(Parameter p) && p != embedTokens) {
            out.add(p);
        }
        return out;
    }

    @Override
    public int vocabularySize() {
        return vocabularySize;
    }

    @Override
    public void resizeVocabulary(int rows) {
        if (rows < config.vocabularySize()) {
            throw new IllegalArgumentException(
                    "%d rows are fewer than the checkpoint's %d"
                            .formatted(rows, config.vocabularySize()));
        }
        if (rows == vocabularySize) {
            return;
        }
        resize(embedTokens, rows);
        if (head instanceof Weight.Dense(Parameter p) && p != embedTokens) {
            resize(p, rows);
        }
        vocabularySize = rows;
    }

    private void resize(Parameter table, int rows) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor own = table.value().narrow(0, 0, config.vocabularySize());
            Tensor grown = Tensors.empty(compute, rows, config.hiddenSize());
            grown.narrow(0, 0, own.size(0)).copyFrom(own);
            Tensor mean = own.to(compute.wide()).mean(0, true);
            grown.narrow(0, own.size(0), rows - own.size(0)).copyFrom(mean);
            table.replaceValue(grown);
        }
    }

    @Override
    public int maxPositions() {
        return config.maxPositions();
    }

    @Override
    public Set<Integer> eosIds() {
        return config.eosIds();
    }

    @Override
    public long parameterCount() {
        return config.parameterCount();
    }

    @Override
    public long byteSize() {
        long bytes = linears().stream().mapToLong(l -> l.weight().byteSize()).sum();
        for (Parameter p : parameters()) {
            bytes += p.value().byteSize();
        }
        for (LoraLinear linear : linears()) { // counted twice above
            bytes -= linear.weight() instanceof Weight.Dense ? linear.weight().byteSize() : 0;
        }
        return bytes;
    }

    @Override
    public DType compute() {
        return compute;
    }

    @Override
    public StreamCache newStreamCache(int rows) {
        return new StreamCache(config.layers(), rows, config.kvHeads(), config.headDim(), compute);
    }

    @Override
    public void close() {
        linears().forEach(LoraLinear::close);
        parameters().forEach(Parameter::close);
        rotary.close();
        shared.close();
    }
}
