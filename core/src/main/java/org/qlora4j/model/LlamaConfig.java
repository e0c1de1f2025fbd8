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
import tools.jackson.core.json.JsonReadFeature;
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
            JsonMapper.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS) // as Python writes them
                    .build();

    /** Layers of the deepest models have some hundred. */
    private static final int MAX_LAYERS = 10_000;

    /** Weights, far above any model, so that no sum over them overflows. */
    private static final double MAX_WEIGHTS = 1e14;

    /** Bound on every width, so that no product of two overflows. */
    private static final int MAX_WIDTH = 1 << 28;

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
        int hidden = config.atMost("hidden_size", MAX_WIDTH);
        int heads = config.atMost("num_attention_heads", MAX_WIDTH);
        int kvHeads =
                config.node("num_key_value_heads") == null
                        ? heads
                        : config.atMost("num_key_value_heads", MAX_WIDTH);
        if (heads % kvHeads != 0) {
            throw FormatException.of(
                    "%s: num_attention_heads %d is no multiple of num_key_value_heads %d",
                    config.file, heads, kvHeads);
        }
        int headDim =
                config.node("head_dim") == null
                        ? hidden / heads
                        : config.atMost("head_dim", MAX_WIDTH);
        if (headDim < 2) {
            throw FormatException.of(
                    "%s: hidden_size %d divided by num_attention_heads %d leaves a head_dim of %d; it must be 2 at least",
                    config.file, hidden, heads, headDim);
        }
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
        LlamaConfig read =
                new LlamaConfig(
                        config.atMost("vocab_size", MAX_WIDTH),
                        hidden,
                        config.atMost("intermediate_size", MAX_WIDTH),
                        config.atMost("num_hidden_layers", MAX_LAYERS),
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
        double attention = 2.0 * read.hiddenSize * headDim * (heads + kvHeads);
        double mlp = 3.0 * read.hiddenSize * read.intermediateSize;
        double weights =
                read.layers * (attention + mlp) + 2.0 * read.vocabularySize * read.hiddenSize;
        if (weights > MAX_WEIGHTS) {
            throw FormatException.of(
                    "%s: its sizes make %.1e weights; up to %.0e are planned and loaded",
                    config.file, weights, MAX_WEIGHTS);
        }
        return read;
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
            JsonNode parameters = config.object("rope_parameters");
            JsonNode scaling = parameters != null ? parameters : config.object("rope_scaling");
            double theta = config.number("rope_theta", 10000);
            if (scaling == null) {
                return new Rope(theta, new RopeScaling.Default());
            }
            Reader rope = new Reader(config.file, scaling);
            theta = rope.number("rope_theta", theta);
            String type = rope.type("rope_type", rope.type("type", "default"));
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
                        "%s:%d: not valid JSON%s; fetch the checkpoint again",
                        file,
                        e.getLocation() == null ? 1 : e.getLocation().getLineNr(),
                        e.getLocation() == null
                                ? ""
                                : ", from column " + e.getLocation().getColumnNr());
            }
        }

        /** An object, null if the key is missing, null or an empty object. */
        @Nullable JsonNode object(String key) {
            JsonNode value = node(key);
            if (value != null && !value.isObject()) {
                throw wrong(key, "an object or null", value);
            }
            return value == null || value.isEmpty() ? null : value;
        }

        /** A text that a key which is there must have. */
        String type(String key, String otherwise) {
            if (object.has(key) && !object.get(key).isString()) {
                throw wrong(key, "text", object.get(key));
            }
            return text(key, otherwise);
        }

        private FormatException wrong(String key, String rule, JsonNode value) {
            String shown = value.toString();
            return FormatException.of(
                    "%s: %s must be %s, got %s",
                    file, key, rule, shown.length() <= 60 ? shown : shown.substring(0, 57) + "...");
        }

        @Nullable JsonNode node(String key) {
            JsonNode value = object.get(key);
            return value == null || value.isNull() ? null : value;
        }

        String text(String key, String otherwise) {
            JsonNode value = node(key);
            if (value != null && !value.isString()) {
                throw wrong(key, "text", value);
            }
            return value == null ? otherwise : value.stringValue();
        }

        double number(String key, double otherwise) {
            JsonNode value = node(key);
            if (value == null) {
                return otherwise;
            }
            if (!value.isNumber()) {
                throw wrong(key, "a number", value);
            }
            double number = value.doubleValue();
            if (!Double.isFinite(number) || number < 0) {
                throw wrong(key, "a finite number from 0", value);
            }
            return number;
        }

        double needed(String key) {
            if (node(key) == null) {
                throw FormatException.of(
                        "%s: %s is missing, which this rope_type needs", file, key);
            }
            double number = number(key, 0);
            if (number == 0) {
                throw FormatException.of("%s: %s must be above 0, got 0", file, key);
            }
            return number;
        }

        int atMost(String key, int most) {
            int value = positive(key);
            if (value > most) {
                throw FormatException.of(
                        "%s: %s must be at most %d, got %d", file, key, most, value);
            }
            return value;
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
            if (value != null && !value.isBoolean()) {
                throw wrong(key, "true or false", value);
            }
            return value != null && value.booleanValue();
        }

        List<Integer> ids(String key) {
            JsonNode value = node(key);
            if (value == null) {
                return List.of();
            }
            List<JsonNode> all = value.isArray() ? value.valueStream().toList() : List.of(value);
            for (JsonNode id : all) {
                if (!id.isIntegralNumber() || !id.canConvertToInt()) {
                    throw wrong(key, "a whole number or a list of them", value);
                }
            }
            return all.stream().map(JsonNode::intValue).toList();
        }
    }
}
