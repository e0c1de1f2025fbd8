package org.qlora4j.family;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.qlora4j.model.ModelShape;
import org.qlora4j.testing.FuzzChild;
import org.qlora4j.testing.Mutation;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The {@code config.json} of every family with values that it must not have. */
final class ShapeFuzz {
    private static final JsonMapper JSON = JsonMapper.shared();

    /** Keys that families read, beside those of {@link #SOUND}. */
    private static final List<String> KEYS =
            List.of(
                    "num_key_value_heads",
                    "head_dim",
                    "hidden_act",
                    "hidden_activation",
                    "activation_function",
                    "attention_bias",
                    "mlp_bias",
                    "attn_logit_softcapping",
                    "final_logit_softcapping",
                    "query_pre_attn_scalar",
                    "sliding_window",
                    "sliding_window_pattern",
                    "layer_types",
                    "max_window_layers",
                    "use_sliding_window",
                    "rope_scaling",
                    "rope_parameters",
                    "rope_theta",
                    "rope_local_base_freq",
                    "rotary_pct",
                    "rotary_emb_base",
                    "partial_rotary_factor",
                    "original_max_position_embeddings",
                    "use_parallel_residual",
                    "tie_word_embeddings",
                    "scale_attn_weights",
                    "scale_attn_by_inverse_layer_idx",
                    "add_cross_attention",
                    "n_inner",
                    "do_layer_norm_before",
                    "word_embed_proj_dim",
                    "enable_bias",
                    "feed_forward_proj",
                    "num_decoder_layers",
                    "relative_attention_num_buckets",
                    "relative_attention_max_distance",
                    "decoder_start_token_id",
                    "eos_token_id",
                    "pad_token_id",
                    "id2label",
                    "num_labels",
                    "is_decoder",
                    "type_vocab_size",
                    "layer_norm_eps",
                    "rms_norm_eps",
                    "layer_norm_epsilon",
                    "quantization_config",
                    "text_config",
                    "use_bidirectional_attention",
                    "architectures",
                    "model_type");

    private static final List<String> VALUES =
            List.of(
                    "null",
                    "true",
                    "false",
                    "-1",
                    "0",
                    "1",
                    "2",
                    "3",
                    "7",
                    "2147483647",
                    "2147483648",
                    "18446744073709551616",
                    "0.5",
                    "-0.25",
                    "1e400",
                    "1e-400",
                    "1e38",
                    "\"\"",
                    "\"a\"",
                    "\"gelu\"",
                    "\"relu\"",
                    "\"gated-gelu\"",
                    "\"\\ud800\"",
                    "[]",
                    "[1]",
                    "[1, 2]",
                    "[null]",
                    "[\"full_attention\"]",
                    "[\"sliding_attention\", \"full_attention\"]",
                    "{}",
                    "{\"a\": 1}",
                    "{\"type\": \"yarn\", \"factor\": 1e30}",
                    "{\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 1, \"original_max_position_embeddings\": 0}",
                    "{\"rope_type\": \"longrope\", \"short_factor\": [1, 1], \"long_factor\": [1]}",
                    "{\"full_attention\": {\"rope_type\": \"linear\", \"factor\": 0}, \"sliding_attention\": 5}",
                    "{\"quant_method\": \"gptq\"}",
                    "{\"model_type\": \"gemma3_text\"}",
                    "{\"0\": \"a\", \"1\": 5}",
                    "{\"2147483648\": \"a\"}");

    private static final List<String> SOUND =
            List.of(
                    llama("llama"),
                    llama("mistral"),
                    llama("qwen2"),
                    llama("qwen3"),
                    llama("gemma"),
                    llama("gemma2"),
                    llama("gemma3_text"),
                    llama("phi3"),
                    "{\"model_type\": \"gemma3\", \"text_config\": " + llama("gemma3_text") + "}",
                    """
                    {"model_type": "gpt_neox", "vocab_size": 160, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
                     "num_attention_heads": 4, "max_position_embeddings": 64, "rotary_pct": 0.25, "eos_token_id": 0}
                    """,
                    """
                    {"model_type": "opt", "vocab_size": 160, "hidden_size": 64, "ffn_dim": 128, "num_hidden_layers": 2,
                     "num_attention_heads": 4, "max_position_embeddings": 64, "eos_token_id": 2}
                    """,
                    """
                    {"model_type": "gpt2", "vocab_size": 160, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64, "eos_token_id": 2}
                    """,
                    """
                    {"model_type": "t5", "vocab_size": 160, "d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4,
                     "feed_forward_proj": "gated-gelu", "decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
                    """,
                    """
                    {"model_type": "roberta", "architectures": ["RobertaForSequenceClassification"], "vocab_size": 160, "hidden_size": 64,
                     "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 66,
                     "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1, "id2label": {"0": "a", "1": "b"}}
                    """);

    private ShapeFuzz() {}

    private static String llama(String type) {
        return """
        {"model_type": "%s", "vocab_size": 160, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
         "rope_theta": 10000.0, "eos_token_id": 2}
        """
                .formatted(type);
    }

    public static void main(String[] arguments) throws IOException {
        Path folder = Files.createTempDirectory("fuzz");
        Path file = folder.resolve("config.json");
        FuzzChild.main(
                arguments,
                seed -> {
                    Random random = new Random(seed);
                    String config = changed(JSON.readTree(Mutation.one(SOUND, random)), random);
                    Files.write(file, config.getBytes(StandardCharsets.UTF_8));
                    ModelShape shape = Families.shape(folder);
                    if (shape.parameterCount() <= 0 || shape.layers() <= 0) {
                        throw new IllegalStateException(shape + ": " + Files.readString(file));
                    }
                });
        Files.deleteIfExists(file);
        Files.deleteIfExists(folder);
    }

    private static String changed(JsonNode sound, Random random) {
        ObjectNode config = (ObjectNode) sound;
        for (int i = random.nextInt(4); i >= 0; i--) {
            ObjectNode in =
                    random.nextBoolean() && config.get("text_config") instanceof ObjectNode inner
                            ? inner
                            : config;
            List<String> keys = new ArrayList<>(in.propertyNames());
            keys.addAll(keys.isEmpty() || random.nextBoolean() ? KEYS : List.of());
            in.set(Mutation.one(keys, random), JSON.readTree(Mutation.one(VALUES, random)));
        }
        return config.toString();
    }
}
