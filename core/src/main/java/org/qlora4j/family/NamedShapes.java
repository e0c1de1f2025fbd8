package org.qlora4j.family;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.ModelShape;

/**
 * Shapes that are known by name, for plans and benchmarks that need no checkpoint: the LLaMA models
 * (arXiv 2302.13971, table 2) that the QLoRA paper finetunes, and one at least of other families.
 * Each is the {@code config.json} of its model, as far as sizes go.
 */
public final class NamedShapes {
    /** By name, in the order of messages. */
    private static final Map<String, String> NAMED = new LinkedHashMap<>();

    /** Other names of the same shapes, as the hub has them. */
    private static final Map<String, String> OTHER_NAMES =
            Map.of(
                    // the model of 32.5e9 weights is called 30b on the hub, 33b in papers
                    "llama-30b", "llama-33b",
                    "gemma-2-2b", "gemma2-2b",
                    "phi-3-mini-4k-instruct", "phi3-mini",
                    "mistral-7b-v0.1", "mistral-7b");

    static {
        NAMED.put("llama-tiny", llama(32000, 64, 2, 172, 4, 2, 1e-5));
        NAMED.put("llama-1.1b", llama(32000, 2048, 22, 5632, 32, 4, 1e-5));
        NAMED.put("llama-3b", llama(32000, 3200, 26, 8640, 32, 32, 1e-5));
        NAMED.put("llama-7b", llama(32000, 4096, 32, 11008, 32, 32, 1e-6));
        NAMED.put("llama-8b", llama(128256, 4096, 32, 14336, 32, 8, 1e-5));
        NAMED.put("llama-13b", llama(32000, 5120, 40, 13824, 40, 40, 1e-6));
        NAMED.put("llama-33b", llama(32000, 6656, 60, 17920, 52, 52, 1e-6));
        NAMED.put("llama-65b", llama(32000, 8192, 80, 22016, 64, 64, 1e-6));
        NAMED.put(
                "mistral-7b",
                """
                {"model_type": "mistral", "vocab_size": 32000, "hidden_size": 4096,
                 "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
                 "num_key_value_heads": 8, "max_position_embeddings": 32768, "sliding_window": 4096,
                 "rms_norm_eps": 1e-5, "eos_token_id": 2}
                """);
        NAMED.put(
                "qwen2.5-0.5b",
                """
                {"model_type": "qwen2", "vocab_size": 151936, "hidden_size": 896,
                 "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
                 "num_key_value_heads": 2, "max_position_embeddings": 32768, "rope_theta": 1e6,
                 "tie_word_embeddings": true, "eos_token_id": 151643}
                """);
        NAMED.put(
                "qwen3-0.6b",
                """
                {"model_type": "qwen3", "vocab_size": 151936, "hidden_size": 1024,
                 "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
                 "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 40960,
                 "rope_theta": 1e6, "tie_word_embeddings": true, "eos_token_id": 151645}
                """);
        NAMED.put(
                "gemma2-2b",
                """
                {"model_type": "gemma2", "vocab_size": 256000, "hidden_size": 2304,
                 "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8,
                 "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 8192,
                 "eos_token_id": 1}
                """);
        NAMED.put(
                "phi3-mini",
                """
                {"model_type": "phi3", "vocab_size": 32064, "hidden_size": 3072,
                 "intermediate_size": 8192, "num_hidden_layers": 32, "num_attention_heads": 32,
                 "max_position_embeddings": 4096, "sliding_window": 2047, "eos_token_id": 32000}
                """);
        NAMED.put(
                "pythia-410m",
                """
                {"model_type": "gpt_neox", "vocab_size": 50304, "hidden_size": 1024,
                 "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
                 "max_position_embeddings": 2048, "rotary_pct": 0.25, "eos_token_id": 0}
                """);
        NAMED.put(
                "opt-1.3b",
                """
                {"model_type": "opt", "vocab_size": 50272, "hidden_size": 2048, "ffn_dim": 8192,
                 "num_hidden_layers": 24, "num_attention_heads": 32,
                 "max_position_embeddings": 2048, "eos_token_id": 2}
                """);
        NAMED.put(
                "gpt2",
                """
                {"model_type": "gpt2", "vocab_size": 50257, "n_embd": 768, "n_layer": 12,
                 "n_head": 12, "n_positions": 1024, "eos_token_id": 50256}
                """);
        NAMED.put("flan-t5-base", flanT5(768, 2048, 12, 12));
        NAMED.put("flan-t5-xl", flanT5(2048, 5120, 24, 32));
        NAMED.put(
                "roberta-base",
                """
                {"model_type": "roberta", "vocab_size": 50265, "hidden_size": 768,
                 "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
                 "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
                 "pad_token_id": 1, "eos_token_id": 2}
                """);
    }

    private NamedShapes() {}

    /** The shape of a name such as {@code llama-65b} or {@code huggyllama/llama-65b}. */
    public static Optional<ModelShape> named(String name) {
        String last = name.substring(name.lastIndexOf('/') + 1).toLowerCase(Locale.ROOT);
        String json = NAMED.get(OTHER_NAMES.getOrDefault(last, last));
        return Optional.ofNullable(json)
                .map(text -> Families.shape(ConfigFile.parse(Path.of(last), text)));
    }

    /** The names, in order, for messages. */
    public static String names() {
        return String.join(", ", NAMED.keySet());
    }

    private static String flanT5(int hidden, int inner, int layers, int heads) {
        return """
        {"model_type": "t5", "vocab_size": 32128, "d_model": %d, "d_ff": %d, "d_kv": 64,
         "num_layers": %d, "num_heads": %d, "feed_forward_proj": "gated-gelu",
         "tie_word_embeddings": false, "eos_token_id": 1}
        """
                .formatted(hidden, inner, layers, heads);
    }

    private static String llama(
            int vocabulary,
            int hidden,
            int layers,
            int intermediate,
            int heads,
            int kvHeads,
            double normEps) {
        return """
        {"model_type": "llama", "vocab_size": %d, "hidden_size": %d, "num_hidden_layers": %d,
         "intermediate_size": %d, "num_attention_heads": %d, "num_key_value_heads": %d,
         "rms_norm_eps": %s, "eos_token_id": 2}
        """
                .formatted(vocabulary, hidden, layers, intermediate, heads, kvHeads, normEps);
    }
}
