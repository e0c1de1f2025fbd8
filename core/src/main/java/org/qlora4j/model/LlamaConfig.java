package org.qlora4j.model;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Shape of a LLaMA model, from its {@code config.json} in the spelling of transformers 4 or 5.
 *
 * @param vocabularySize rows of the embedding table
 * @param hiddenSize width of the residual stream
 * @param intermediateSize inner width of the MLP
 * @param layers decoder layers
 * @param heads query heads
 * @param kvHeads key and value heads; divides {@code heads}
 * @param headDim width of a head, even
 * @param normEps added to the mean square in norms
 * @param ropeTheta base of the rotary frequencies
 * @param maxPositions the trained context length
 * @param attentionBias whether q, k, v and o have a bias
 * @param mlpBias whether gate, up and down have a bias
 * @param tieEmbeddings whether the head is the embedding table
 * @param eosIds ids that end a text; may be empty
 */
public record LlamaConfig(
        int vocabularySize,
        int hiddenSize,
        int intermediateSize,
        int layers,
        int heads,
        int kvHeads,
        int headDim,
        double normEps,
        double ropeTheta,
        RopeScaling ropeScaling,
        int maxPositions,
        boolean attentionBias,
        boolean mlpBias,
        boolean tieEmbeddings,
        Set<Integer> eosIds) {
    /** Values of {@code model_type} that this class reads. */
    static final List<String> MODEL_TYPES = List.of("llama");

    private static final JsonMapper JSON =
            JsonMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

    /**
     * Reads {@code config.json}, and {@code generation_config.json} if there is one, of a
     * checkpoint folder.
     */
    public static LlamaConfig read(Path folder) {
        Reader config = Reader.of(folder.resolve("config.json"));
        String type = config.text("model_type", "");
        if (!MODEL_TYPES.contains(type)) {
            throw FormatException.of(
                    "%s: model_type %s is not supported; supported: %s",
                    config.file,
                    type.isEmpty() ? "is missing, which" : "\"" + type + "\"",
                    String.join(", ", MODEL_TYPES));
        }
        String activation = config.text("hidden_act", "silu");
        if (!activation.equals("silu")) {
            throw FormatException.of(
                    "%s: hidden_act \"%s\" is not supported; llama models use silu",
                    config.file, activation);
        }
        int hidden = config.positive("hidden_size");
        int heads = config.positive("num_attention_heads");
        int kvHeads =
                config.node("num_key_value_heads") == null
                        ? heads
                        : config.positive("num_key_value_heads");
        if (heads % kvHeads != 0) {
            throw FormatException.of(
                    "%s: num_attention_heads %d is no multiple of num_key_value_heads %d",
                    config.file, heads, kvHeads);
        }
        int headDim =
                config.node("head_dim") == null ? hidden / heads : config.positive("head_dim");
        if (headDim % 2 != 0) {
            throw FormatException.of(
                    "%s: head_dim %d is odd; rotary embedding needs an even one",
                    config.file, headDim);
        }
        int maxPositions =
                config.node("max_position_embeddings") == null
                        ? 2048
                        : config.positive("max_position_embeddings");
        Rope rope = Rope.of(config, maxPositions);
        Set<Integer> eos = new TreeSet<>(config.ids("eos_token_id"));
        Path generation = folder.resolve("generation_config.json");
        if (Files.isRegularFile(generation)) {
            eos.addAll(Reader.of(generation).ids("eos_token_id"));
        }
        return new LlamaConfig(
                config.positive("vocab_size"),
                hidden,
                config.positive("intermediate_size"),
                config.positive("num_hidden_layers"),
                heads,
                kvHeads,
                headDim,
                config.number("rms_norm_eps", 1e-6),
                rope.theta,
                rope.scaling,
                maxPositions,
                config.flag("attention_bias"),
                config.flag("mlp_bias"),
                config.flag("tie_word_embeddings"),
                eos);
    }

    /**
     * A linear layer.
     *
     * @param path module path in the checkpoint
     */
    public record LinearShape(String path, long out, long in) {}

    /** The linear layers but the head, in the order of the checkpoint. */
    public List<LinearShape> linears() {
        List<LinearShape> out = new ArrayList<>();
        long attention = (long) heads * headDim;
        long grouped = (long) kvHeads * headDim;
        for (int i = 0; i < layers; i++) {
            String p = "model.layers." + i + ".";
            out.add(new LinearShape(p + "self_attn.q_proj", attention, hiddenSize));
            out.add(new LinearShape(p + "self_attn.k_proj", grouped, hiddenSize));
            out.add(new LinearShape(p + "self_attn.v_proj", grouped, hiddenSize));
            out.add(new LinearShape(p + "self_attn.o_proj", hiddenSize, attention));
            out.add(new LinearShape(p + "mlp.gate_proj", intermediateSize, hiddenSize));
            out.add(new LinearShape(p + "mlp.up_proj", intermediateSize, hiddenSize));
            out.add(new LinearShape(p + "mlp.down_proj", hiddenSize, intermediateSize));
        }
        return out;
    }

    /** Number of weights in the model. */
    public long parameterCount() {
        long attention = (long) hiddenSize * headDim * (2L * heads + 2L * kvHeads);
        long mlp = 3L * hiddenSize * intermediateSize;
        long embeddings = (long) vocabularySize * hiddenSize * (tieEmbeddings ? 1 : 2);
        return embeddings + layers * (attention + mlp + 2L * hiddenSize) + hiddenSize;
    }

    private record Rope(double theta, RopeScaling scaling) {
        /**
         * From {@code rope_parameters} (v5), or {@code rope_theta} and {@code rope_scaling} (v4).
         */
        static Rope of(Reader config, int maxPositions) {
            JsonNode parameters = config.node("rope_parameters");
            JsonNode scaling = parameters != null ? parameters : config.node("rope_scaling");
            double theta = config.number("rope_theta", 10000);
            if (scaling == null) {
                return new Rope(theta, new RopeScaling.Default());
            }
            Reader rope = new Reader(config.file, scaling);
            theta = rope.number("rope_theta", theta);
            String type = rope.text("rope_type", rope.text("type", "default"));
            return new Rope(
                    theta,
                    switch (type) {
                        case "default" -> new RopeScaling.Default();
                        case "linear" -> new RopeScaling.Linear(rope.needed("factor"));
                        case "dynamic" -> new RopeScaling.Dynamic(rope.needed("factor"));
                        case "llama3" ->
                                new RopeScaling.Llama3(
                                        rope.needed("factor"),
                                        rope.needed("low_freq_factor"),
                                        rope.needed("high_freq_factor"),
                                        rope.number(
                                                "original_max_position_embeddings", maxPositions));
                        default ->
                                throw FormatException.of(
                                        "%s: rope_type \"%s\" is not supported; supported: default, linear, dynamic, llama3",
                                        config.file, type);
                    });
        }
    }

    /** Keys of one JSON object, with errors that name file and key. */
    private record Reader(Path file, JsonNode object) {
        static Reader of(Path file) {
            if (!Files.isRegularFile(file)) {
                throw new FormatException(
                        file + " is missing; it comes with the model's checkpoint");
            }
            try {
                JsonNode node = JSON.readTree(file);
                if (!node.isObject()) {
                    throw new FormatException(
                            file + " is no JSON object; fetch the checkpoint again");
                }
                return new Reader(file, node);
            } catch (JacksonException e) {
                throw FormatException.of(
                        "%s:%d: %s",
                        file,
                        e.getLocation() == null ? 1 : e.getLocation().getLineNr(),
                        e.getOriginalMessage());
            }
        }

        @Nullable JsonNode node(String key) {
            JsonNode value = object.get(key);
            return value == null || value.isNull() ? null : value;
        }

        String text(String key, String otherwise) {
            JsonNode value = node(key);
            return value == null ? otherwise : value.asString(value.toString());
        }

        double number(String key, double otherwise) {
            JsonNode value = node(key);
            if (value == null) {
                return otherwise;
            }
            if (!value.isNumber()) {
                throw FormatException.of("%s: %s must be a number, got %s", file, key, value);
            }
            return value.asDouble();
        }

        double needed(String key) {
            if (node(key) == null) {
                throw FormatException.of(
                        "%s: %s is missing, which this rope_type needs", file, key);
            }
            return number(key, 0);
        }

        int positive(String key) {
            JsonNode value = node(key);
            if (value == null
                    || !value.isIntegralNumber()
                    || !value.canConvertToInt()
                    || value.asInt() < 1) {
                throw FormatException.of(
                        "%s: %s must be a whole number from 1, got %s",
                        file, key, value == null ? "nothing" : value);
            }
            return value.asInt();
        }

        boolean flag(String key) {
            JsonNode value = node(key);
            return value != null && value.asBoolean();
        }

        List<Integer> ids(String key) {
            JsonNode value = node(key);
            if (value == null) {
                return List.of();
            }
            if (value.isArray()) {
                return value.valueStream().map(JsonNode::asInt).toList();
            }
            return List.of(value.asInt());
        }
    }
}
