package org.qlora4j.checkpoint;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * What a family's tensors are called in GGUF, and how their rows lie there.
 *
 * @param architecture the file's {@code general.architecture}, the prefix of its keys
 * @param modelType Hugging Face's {@code model_type}
 * @param layerNames parts of a layer, by GGUF's names
 * @param interleaves whether rows of q and k stand in pairs, for the rotary embedding: in each head
 *     row i of the first half and row i of the second
 * @param normsPlusOne whether norms hold 1 + w
 */
public record GgufNames(
        String architecture,
        String modelType,
        Map<String, String> layerNames,
        boolean interleaves,
        boolean normsPlusOne) {
    private static final Pattern LAYER =
            Pattern.compile("model\\.layers\\.([0-9]{1,6})\\.(.+)\\.(weight|bias)");
    private static final Map<String, String> TOP_NAMES =
            Map.of(
                    "token_embd.weight", "model.embed_tokens.weight",
                    "output_norm.weight", "model.norm.weight",
                    "output.weight", "lm_head.weight");

    /** Divisors of the rotary frequencies, which Hugging Face computes from {@code config.json}. */
    public static final String ROPE_FREQUENCIES = "rope_freqs.weight";

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

    /** All families, the first of an architecture being the one that files are read as. */
    private static final List<GgufNames> ALL =
            List.of(
                    new GgufNames("llama", "llama", LLAMA, true, false),
                    new GgufNames("llama", "mistral", LLAMA, true, false),
                    new GgufNames("qwen2", "qwen2", LLAMA, false, false),
                    new GgufNames("qwen3", "qwen3", with(LLAMA, HEAD_NORMS), false, false));

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
        if (layer.matches()) {
            return layerNames.entrySet().stream()
                    .filter(entry -> entry.getValue().equals(layer.group(2)))
                    .map(e -> "blk." + layer.group(1) + "." + e.getKey() + "." + layer.group(3))
                    .findFirst()
                    .orElse(null);
        }
        return TOP_NAMES.entrySet().stream()
                .filter(entry -> entry.getValue().equals(name))
                .map(Map.Entry::getKey)
                .findFirst()
                .orElse(null);
    }

    /** Hugging Face's name of a tensor of the whole model; null if there is none. */
    static @Nullable String topName(String gguf) {
        return TOP_NAMES.get(gguf);
    }

    /**
     * Heads whose rows are interleaved in the tensor of this name; 0 where rows keep Hugging Face's
     * order.
     *
     * @param name Hugging Face's
     */
    public long interleavedHeads(String name, long heads, long kvHeads) {
        if (!interleaves) {
            return 0;
        }
        return name.contains(".q_proj.") ? heads : name.contains(".k_proj.") ? kvHeads : 0;
    }

    /**
     * Where a row of a file stands in Hugging Face's order.
     *
     * @param heads those that are interleaved; 0 for none
     */
    public static long huggingFaceRow(long row, long rows, long heads) {
        if (heads == 0) {
            return row;
        }
        long headRows = rows / heads;
        long inHead = row % headRows;
        return row - inHead + inHead / 2 + inHead % 2 * (headRows / 2);
    }
}
