package org.qlora4j.model;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.JsonNumber;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Shown;
import org.qlora4j.kernel.Activation;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Keys of one JSON object of a model's {@code config.json}, with errors that name file and key.
 *
 * @param file it lies in, or came from
 */
public record ConfigFile(Path file, JsonNode root) {
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

    /** Reads a file. */
    public static ConfigFile of(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new FormatException(file + " is missing; it comes with the model's checkpoint");
        }
        try {
            JsonNode node = JSON.readTree(file);
            if (!node.isObject()) {
                throw new FormatException(file + " is no JSON object; fetch the checkpoint again");
            }
            return new ConfigFile(file, node);
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

    /**
     * Reads a text that is known to be a JSON object.
     *
     * @param name for messages
     */
    public static ConfigFile parse(Path name, String json) {
        return new ConfigFile(name, JSON.readTree(json));
    }

    /** An object, null if the key is missing, null or an empty object. */
    public @Nullable JsonNode object(String key) {
        JsonNode value = node(key);
        if (value != null && !value.isObject()) {
            throw wrong(key, "an object or null", value);
        }
        return value == null || value.isEmpty() ? null : value;
    }

    /** A text that a key which is there must have. */
    public String type(String key, String otherwise) {
        if (root.has(key) && !root.get(key).isString()) {
            throw wrong(key, "text", root.get(key));
        }
        return text(key, otherwise);
    }

    private FormatException wrong(String key, String rule, JsonNode value) {
        return FormatException.of("%s: %s must be %s, got %s", file, key, rule, Shown.of(value));
    }

    /** The value of a key; null if it is missing or null. */
    public @Nullable JsonNode node(String key) {
        JsonNode value = root.get(key);
        return value == null || value.isNull() ? null : value;
    }

    /** A text. */
    public String text(String key, String otherwise) {
        JsonNode value = node(key);
        if (value != null && !value.isString()) {
            throw wrong(key, "text", value);
        }
        return value == null ? otherwise : value.stringValue();
    }

    /** A number. */
    public double number(String key, double otherwise) {
        JsonNode value = node(key);
        if (value == null) {
            return otherwise;
        }
        if (!value.isNumber()) {
            throw wrong(key, "a number", value);
        }
        double number = JsonNumber.of(value);
        if (!JsonNumber.isFloat(value) || number < 0) {
            throw wrong(key, "a number from 0 that fits 32 bits", value);
        }
        return number;
    }

    /** A number, or the other one if it is missing; 0 if the file has null for it. */
    public double numberOrNull(String key, double otherwise) {
        return root.has(key) && node(key) == null ? 0 : number(key, otherwise);
    }

    /** A number that the rope_type needs. */
    public double needed(String key) {
        if (node(key) == null) {
            throw FormatException.of("%s: %s is missing, which this rope_type needs", file, key);
        }
        return aboveZero(key, 0);
    }

    /** A number above 0. */
    public double aboveZero(String key, double otherwise) {
        if (node(key) == null) {
            return otherwise;
        }
        double number = number(key, 0);
        if (number == 0) {
            throw FormatException.of("%s: %s must be above 0, got 0", file, key);
        }
        return number;
    }

    /** A whole number from 1 to a bound. */
    public int atMost(String key, int most) {
        int value = positive(key);
        if (value > most) {
            throw FormatException.of("%s: %s must be at most %d, got %d", file, key, most, value);
        }
        return value;
    }

    /** A whole number from 1, which must be there. */
    public int positive(String key) {
        JsonNode value = node(key);
        if (value == null
                || !value.isIntegralNumber()
                || !value.canConvertToInt()
                || value.asInt() < 1) {
            if (value == null) {
                throw FormatException.of(
                        "%s: %s must be a whole number from 1, got nothing", file, key);
            }
            throw wrong(key, "a whole number from 1", value);
        }
        return value.asInt();
    }

    /** Whether a key is true, or what it is if it is missing. */
    public boolean flag(String key, boolean otherwise) {
        return node(key) == null ? otherwise : flag(key);
    }

    /** Whether a key is true. */
    public boolean flag(String key) {
        JsonNode value = node(key);
        if (value != null && !value.isBoolean()) {
            throw wrong(key, "true or false", value);
        }
        return value != null && value.booleanValue();
    }

    private List<Integer> ids(String key) {
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

    /** A whole number from 1, or the other one if it is missing. */
    public int positive(String key, int otherwise) {
        return node(key) == null ? otherwise : positive(key);
    }

    /** A whole number from 1, or the other one if it is missing; 0 if the file has null for it. */
    public int positiveOrNull(String key, int otherwise) {
        return root.has(key) && node(key) == null ? 0 : positive(key, otherwise);
    }

    /** Ids that end a text, of this file and of {@code generation_config.json} beside it. */
    public Set<Integer> eosIds() {
        Set<Integer> eos = new TreeSet<>(ids("eos_token_id"));
        Path generation = file.resolveSibling("generation_config.json");
        if (Files.isRegularFile(generation)) {
            eos.addAll(of(generation).ids("eos_token_id"));
        }
        return eos;
    }

    /**
     * The same keys, and of another object's those that are missing.
     *
     * @param json an object, such as {@code {"num_attention_heads": 8}}
     */
    public ConfigFile withDefaults(String json) {
        ObjectNode all = (ObjectNode) JSON.readTree(json);
        root.propertyStream().forEach(entry -> all.set(entry.getKey(), entry.getValue()));
        return new ConfigFile(file, all);
    }

    /** Throws unless the activation is the one that the family knows. */
    public void requireActivation(String key, String only) {
        String activation = text(key, only);
        if (!activation.equals(only)) {
            throw FormatException.of(
                    "%s: %s \"%s\" is not supported; %s models use %s",
                    file, key, activation, text("model_type", ""), only);
        }
    }

    /**
     * Sizes in LLaMA's spelling, which most families share.
     *
     * @param maxPositions where the file does not say
     */
    public ModelFacts facts(int maxPositions) {
        return facts(maxPositions, 0);
    }

    /**
     * As {@link #facts(int)}.
     *
     * @param defaultHeadDim where the file does not say; 0 for the hidden size divided by the heads
     */
    public ModelFacts facts(int maxPositions, int defaultHeadDim) {
        int hidden = atMost("hidden_size", MAX_WIDTH);
        int heads = atMost("num_attention_heads", MAX_WIDTH);
        int kvHeads =
                node("num_key_value_heads") == null
                        ? heads
                        : atMost("num_key_value_heads", MAX_WIDTH);
        if (heads % kvHeads != 0) {
            throw FormatException.of(
                    "%s: num_attention_heads %d is no multiple of num_key_value_heads %d",
                    file, heads, kvHeads);
        }
        int unsaid = defaultHeadDim == 0 ? hidden / heads : defaultHeadDim;
        int headDim = node("head_dim") == null ? unsaid : atMost("head_dim", MAX_WIDTH);
        if (headDim < 2) {
            throw FormatException.of(
                    "%s: hidden_size %d divided by num_attention_heads %d leaves a head_dim of %d; it must be 2 at least",
                    file, hidden, heads, headDim);
        }
        if (headDim % 2 != 0) {
            throw FormatException.of(
                    "%s: head_dim %d is odd; rotary embedding needs an even one", file, headDim);
        }
        if ((long) heads * headDim > MAX_WIDTH) {
            throw FormatException.of(
                    "%s: num_attention_heads %d times head_dim %d must be at most %d",
                    file, heads, headDim, MAX_WIDTH);
        }
        ModelFacts facts =
                new ModelFacts(
                        text("model_type", ""),
                        atMost("vocab_size", MAX_WIDTH),
                        hidden,
                        atMost("intermediate_size", MAX_WIDTH),
                        atMost("num_hidden_layers", MAX_LAYERS),
                        heads,
                        kvHeads,
                        headDim,
                        positive("max_position_embeddings", maxPositions),
                        eosIds());
        requireLoadable(facts);
        return facts;
    }

    /** Keys of sizes in families that spell them in their own way. */
    public record Spelling(
            String hidden,
            String inner,
            String layers,
            String heads,
            String positions,
            @Nullable String headDim) {
        /** LLaMA's, which most families share. */
        public static final Spelling COMMON =
                new Spelling(
                        "hidden_size",
                        "intermediate_size",
                        "num_hidden_layers",
                        "num_attention_heads",
                        "max_position_embeddings",
                        null);
    }

    /**
     * Sizes of a model with as many key heads as query heads. Where no key says how wide a head is,
     * all together are as wide as the hidden states.
     *
     * @param maxPositions where the file does not say
     */
    public ModelFacts facts(Spelling keys, int maxPositions) {
        int hidden = atMost(keys.hidden, MAX_WIDTH);
        int heads = atMost(keys.heads, MAX_WIDTH);
        if (keys.headDim == null && hidden % heads != 0) {
            throw FormatException.of(
                    "%s: %s %d is no multiple of %s %d",
                    file, keys.hidden, hidden, keys.heads, heads);
        }
        ModelFacts facts =
                new ModelFacts(
                        text("model_type", ""),
                        atMost("vocab_size", MAX_WIDTH),
                        hidden,
                        node(keys.inner) == null && hidden <= MAX_WIDTH / 4
                                ? 4 * hidden
                                : atMost(keys.inner, MAX_WIDTH),
                        atMost(keys.layers, MAX_LAYERS),
                        heads,
                        heads,
                        keys.headDim == null ? hidden / heads : atMost(keys.headDim, MAX_WIDTH),
                        node(keys.positions) == null
                                ? maxPositions
                                : atMost(keys.positions, MAX_WIDTH),
                        eosIds());
        requireLoadable(facts);
        return facts;
    }

    /** The function that a key names. */
    public Activation activation(String key, Activation otherwise) {
        if (node(key) == null) {
            return otherwise;
        }
        String name = text(key, "");
        return Activation.named(name)
                .orElseThrow(() ->
                        FormatException.of(
                                "%s: %s \"%s\" is not supported; supported: %s",
                                file, key, name, String.join(", ", Activation.allNames())));
    }

    /** The same with a number for a key, if it lacks it. */
    public ConfigFile withDefault(String key, double value) {
        if (root.has(key) || !(root.deepCopy() instanceof ObjectNode copy)) {
            return this;
        }
        return new ConfigFile(file, copy.put(key, value));
    }

    /** Throws unless a flag, if it is there, has the one value that the family knows. */
    public void requireFlag(String key, boolean only) {
        if (flag(key, only) != only) {
            throw FormatException.of(
                    "%s: %s %s is not supported for models of type %s",
                    file, key, !only, text("model_type", ""));
        }
    }

    private void requireLoadable(ModelFacts facts) {
        double attention =
                2.0 * facts.hiddenSize() * facts.headDim() * (facts.heads() + facts.kvHeads());
        double mlp = 3.0 * facts.hiddenSize() * facts.intermediateSize();
        double weights =
                facts.layers() * (attention + mlp)
                        + 2.0 * facts.vocabularySize() * facts.hiddenSize();
        if (weights > MAX_WEIGHTS) {
            throw FormatException.of(
                    "%s: its sizes make %.1e weights; up to %.0e are planned and loaded",
                    file, weights, MAX_WEIGHTS);
        }
    }
}
