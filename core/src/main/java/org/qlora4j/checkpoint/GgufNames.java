package org.qlora4j.checkpoint;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * What a family's tensors are called in GGUF, and how they lie there (llama.cpp's {@code
 * tensor_mapping.py}).
 *
 * @param architecture the file's {@code general.architecture}, the prefix of its keys
 * @param modelType Hugging Face's {@code model_type}
 * @param layers what Hugging Face's names of layers begin with, before the number
 * @param topNames names of tensors of the whole model, by GGUF's
 * @param layerNames parts of a layer, by GGUF's names
 * @param manner what lies otherwise
 */
public record GgufNames(
        String architecture,
        String modelType,
        String layers,
        Map<String, String> topNames,
        Map<String, String> layerNames,
        Manner manner) {
    /** Which tensors of a family lie otherwise than in Hugging Face's files. */
    public enum Manner {
        /** None. */
        PLAIN,
        /** Rows of q and k, as {@link GgufOrder.Halves}. */
        PAIRS,
        /** Norms, as {@link GgufOrder.PlusOne}. */
        NORMS_PLUS_ONE,
        /** The weights of all linears, as {@link GgufOrder.Transposed}. */
        TRANSPOSED,
        /** The fused projection, as {@link GgufOrder.Grouped}. */
        GROUPED
    }

    private static final Pattern LAYER =
            Pattern.compile("([a-z_.]+\\.)([0-9]{1,6})\\.(.+)\\.(weight|bias)");
    private static final Pattern GGUF_LAYER =
            Pattern.compile("blk\\.(0|[1-9][0-9]{0,5})\\.([a-z_]+)\\.(weight|bias)");

    /** Divisors of the rotary frequencies, which Hugging Face computes from {@code config.json}. */
    public static final String ROPE_FREQUENCIES = "rope_freqs.weight";

    /** Divisors for texts up to the original length, and for longer ones. */
    public static final String ROPE_SHORT = "rope_factors_short.weight";

    public static final String ROPE_LONG = "rope_factors_long.weight";

    /** Tensors that hold no weights. */
    static final Set<String> ROPE = Set.of(ROPE_FREQUENCIES, ROPE_SHORT, ROPE_LONG);

    private static final Map<String, String> TOP =
            Map.of(
                    "token_embd.weight", "model.embed_tokens.weight",
                    "output_norm.weight", "model.norm.weight",
                    "output.weight", "lm_head.weight");
    private static final Map<String, String> LLAMA =
            Map.of(
                    "attn_norm", "input_layernorm",
                    "ffn_norm", "post_attention_layernorm",
                    "attn_q", "self_attn.q_proj",
                    "attn_k", "self_attn.k_proj",
                    "attn_v", "self_attn.v_proj",
                    "attn_output", "self_attn.o_proj",
                    "ffn_gate", "mlp.gate_proj",
                    "ffn_up", "mlp.up_proj",
                    "ffn_down", "mlp.down_proj");
    private static final Map<String, String> HEAD_NORMS =
            Map.of("attn_q_norm", "self_attn.q_norm", "attn_k_norm", "self_attn.k_norm");
    private static final Map<String, String> FOUR_NORMS =
            Map.of(
                    "post_attention_norm", "post_attention_layernorm",
                    "ffn_norm", "pre_feedforward_layernorm",
                    "post_ffw_norm", "post_feedforward_layernorm");

    /** All families, the first of an architecture being the one that files are read as. */
    private static final List<GgufNames> ALL =
            List.of(
                    likeLlama("llama", "llama", LLAMA, Manner.PAIRS),
                    likeLlama("llama", "mistral", LLAMA, Manner.PAIRS),
                    likeLlama("qwen2", "qwen2", LLAMA, Manner.PLAIN),
                    likeLlama("qwen3", "qwen3", with(LLAMA, HEAD_NORMS), Manner.PLAIN),
                    likeLlama("gemma", "gemma", LLAMA, Manner.NORMS_PLUS_ONE),
                    likeLlama("gemma2", "gemma2", with(LLAMA, FOUR_NORMS), Manner.NORMS_PLUS_ONE),
                    likeLlama(
                            "gemma3",
                            "gemma3_text",
                            with(with(LLAMA, FOUR_NORMS), HEAD_NORMS),
                            Manner.NORMS_PLUS_ONE),
                    likeLlama(
                            "phi3",
                            "phi3",
                            Map.of(
                                    "attn_norm", "input_layernorm",
                                    "ffn_norm", "post_attention_layernorm",
                                    "attn_qkv", "self_attn.qkv_proj",
                                    "attn_output", "self_attn.o_proj",
                                    "ffn_up", "mlp.gate_up_proj",
                                    "ffn_down", "mlp.down_proj"),
                            Manner.PLAIN),
                    new GgufNames(
                            "gpt2",
                            "gpt2",
                            "transformer.h.",
                            Map.of(
                                    "token_embd.weight", "transformer.wte.weight",
                                    "position_embd.weight", "transformer.wpe.weight",
                                    "output_norm.weight", "transformer.ln_f.weight",
                                    "output_norm.bias", "transformer.ln_f.bias",
                                    "output.weight", "lm_head.weight"),
                            Map.of(
                                    "attn_norm", "ln_1",
                                    "ffn_norm", "ln_2",
                                    "attn_qkv", "attn.c_attn",
                                    "attn_output", "attn.c_proj",
                                    "ffn_up", "mlp.c_fc",
                                    "ffn_down", "mlp.c_proj"),
                            Manner.TRANSPOSED),
                    new GgufNames(
                            "gptneox",
                            "gpt_neox",
                            "gpt_neox.layers.",
                            Map.of(
                                    "token_embd.weight", "gpt_neox.embed_in.weight",
                                    "output_norm.weight", "gpt_neox.final_layer_norm.weight",
                                    "output_norm.bias", "gpt_neox.final_layer_norm.bias",
                                    "output.weight", "embed_out.weight"),
                            Map.of(
                                    "attn_norm", "input_layernorm",
                                    "ffn_norm", "post_attention_layernorm",
                                    "attn_qkv", "attention.query_key_value",
                                    "attn_output", "attention.dense",
                                    "ffn_up", "mlp.dense_h_to_4h",
                                    "ffn_down", "mlp.dense_4h_to_h"),
                            Manner.GROUPED));

    private static GgufNames likeLlama(
            String architecture, String modelType, Map<String, String> parts, Manner manner) {
        return new GgufNames(architecture, modelType, "model.layers.", TOP, parts, manner);
    }

    private static Map<String, String> with(Map<String, String> some, Map<String, String> more) {
        Map<String, String> all = new HashMap<>(some);
        all.putAll(more);
        return Map.copyOf(all);
    }

    /**
     * The names of a family.
     *
     * @throws FormatException if it is not written as GGUF
     */
    public static GgufNames ofModelType(String type) {
        return ALL.stream()
                .filter(names -> names.modelType.equals(type))
                .findFirst()
                .orElseThrow(() ->
                        FormatException.of(
                                "models of type %s are not written as GGUF; those of %s are",
                                type,
                                String.join(
                                        ", ", ALL.stream().map(GgufNames::modelType).toList())));
    }

    /** The names in files of an architecture; null if it is not read. */
    static @Nullable GgufNames ofArchitecture(@Nullable String architecture) {
        return ALL.stream()
                .filter(names -> names.architecture.equals(architecture))
                .findFirst()
                .orElse(null);
    }

    /**
     * Hugging Face's {@code model_type} of an architecture.
     *
     * @throws FormatException if it is not read
     */
    public static String modelTypeOf(String architecture) {
        GgufNames names = ofArchitecture(architecture);
        if (names == null) {
            throw FormatException.of(
                    "general.architecture is '%s'; read from GGUF are %s, fetch the model's safetensors form",
                    StrictJson.clip(architecture), architectures());
        }
        return names.modelType;
    }

    /** The architectures that are read, for messages. */
    static String architectures() {
        return String.join(", ", ALL.stream().map(GgufNames::architecture).distinct().toList());
    }

    /** GGUF's name of a tensor; null if it has none. */
    public @Nullable String toGguf(String name) {
        Matcher layer = LAYER.matcher(name);
        if (layer.matches() && layer.group(1).equals(layers)) {
            String part = keyOf(layerNames, layer.group(3));
            return part == null
                    ? null
                    : "blk.%s.%s.%s".formatted(layer.group(2), part, layer.group(4));
        }
        return keyOf(topNames, name);
    }

    private static @Nullable String keyOf(Map<String, String> names, String value) {
        return names.entrySet().stream()
                .filter(entry -> entry.getValue().equals(value))
                .map(Map.Entry::getKey)
                .findFirst()
                .orElse(null);
    }

    /**
     * Hugging Face's name of a tensor, e.g. {@code model.layers.0.mlp.up_proj.weight} for {@code
     * blk.0.ffn_up.weight}; null if there is none.
     */
    @Nullable String toHuggingFace(String gguf) {
        Matcher layer = GGUF_LAYER.matcher(gguf);
        if (!layer.matches()) {
            return topNames.get(gguf);
        }
        String part = layerNames.get(layer.group(2));
        return part == null ? null : layers + layer.group(1) + "." + part + "." + layer.group(3);
    }

    /**
     * How the tensor of a name lies in the file.
     *
     * @param name Hugging Face's
     */
    public GgufOrder order(String name, long heads, long kvHeads) {
        return switch (manner) {
            case PAIRS ->
                    name.contains(".q_proj.")
                            ? new GgufOrder.Halves(heads)
                            : name.contains(".k_proj.")
                                    ? new GgufOrder.Halves(kvHeads)
                                    : new GgufOrder.Same();
            case NORMS_PLUS_ONE ->
                    name.endsWith("norm.weight") ? new GgufOrder.PlusOne() : new GgufOrder.Same();
            case TRANSPOSED ->
                    name.matches(".*\\.c_[a-z]+\\.weight")
                            ? new GgufOrder.Transposed()
                            : new GgufOrder.Same();
            case GROUPED ->
                    name.contains(".query_key_value.")
                            ? new GgufOrder.Grouped(heads)
                            : new GgufOrder.Same();
            case PLAIN -> new GgufOrder.Same();
        };
    }
}
