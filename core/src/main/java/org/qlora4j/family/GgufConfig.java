package org.qlora4j.family;

import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.GgufFile;
import org.qlora4j.checkpoint.GgufNames;
import org.qlora4j.error.FormatException;
import org.qlora4j.model.RopeScaling;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The {@code config.json} of the model in a GGUF file, from its keys. Where one is absent,
 * llama.cpp's own value counts.
 *
 * @param architecture prefix of the keys
 */
record GgufConfig(GgufFile file, String architecture) {
    /** Classes of transformers by {@code model_type}. */
    private static final Map<String, String> CLASSES =
            Map.of(
                    "llama", "LlamaForCausalLM",
                    "qwen2", "Qwen2ForCausalLM",
                    "qwen3", "Qwen3ForCausalLM",
                    "gemma", "GemmaForCausalLM",
                    "gemma2", "Gemma2ForCausalLM",
                    "gemma3_text", "Gemma3ForCausalLM",
                    "phi3", "Phi3ForCausalLM",
                    "gpt2", "GPT2LMHeadModel",
                    "gpt_neox", "GPTNeoXForCausalLM");

    /** Longest context that a stretch may begin at. */
    private static final int MAX_ORIGINAL = 1 << 20;

    /**
     * The config, without ids of tokens.
     *
     * @param tokens of the vocabulary
     * @throws FormatException if the architecture is not read
     */
    ObjectNode json(int tokens) {
        String type = GgufNames.modelTypeOf(architecture);
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.putArray("architectures").add(CLASSES.get(type));
        json.put("model_type", type);
        json.put("vocab_size", key("vocab_size", tokens));
        if (type.equals("gpt2")) {
            gpt2(json);
            return json;
        }
        int hidden = key("embedding_length", 0);
        int heads = key("attention.head_count", 0);
        int headDim = key("attention.key_length", heads == 0 ? 0 : hidden / heads);
        json.put("hidden_size", hidden);
        json.put("intermediate_size", key("feed_forward_length", 0));
        json.put("num_hidden_layers", key("block_count", 0));
        json.put("num_attention_heads", heads);
        json.put("max_position_embeddings", key("context_length", 2048));
        json.put("tie_word_embeddings", !file.hasTensor("output.weight"));
        int turned = key("rope.dimension_count", headDim);
        ObjectNode rope = rope(key("context_length", 2048), turned);
        if (type.equals("gpt_neox")) {
            json.put("layer_norm_eps", number("attention.layer_norm_epsilon", 1e-5));
            json.put("hidden_act", "gelu");
            json.put("use_parallel_residual", flag("use_parallel_residual", true));
        } else {
            json.put("num_key_value_heads", key("attention.head_count_kv", heads));
            json.put("head_dim", headDim);
            json.put("rms_norm_eps", number("attention.layer_norm_rms_epsilon", 1e-6));
            json.put("attention_bias", file.hasTensor("blk.0.attn_output.bias"));
        }
        switch (type) {
            case "gemma" -> json.put("hidden_act", "gelu_pytorch_tanh");
            case "gemma2", "gemma3_text" -> gemma(json, type, rope);
            case "gpt_neox" -> {}
            default -> {
                json.put("hidden_act", "silu");
                json.put("mlp_bias", file.hasTensor("blk.0.ffn_up.bias"));
            }
        }
        if (type.equals("phi3") || type.equals("gpt_neox")) {
            rope.put("partial_rotary_factor", headDim == 0 ? 1 : (double) turned / headDim);
        }
        if (type.equals("phi3")) {
            int window = key("attention.sliding_window", 0);
            json.put("sliding_window", window == 0 ? null : Integer.valueOf(window));
        }
        if (!json.has("rope_parameters")) {
            json.set("rope_parameters", rope);
        }
        return json;
    }

    private int key(String name, long absent) {
        return file.count(architecture + "." + name, absent);
    }

    private double number(String name, double absent) {
        return file.number(architecture + "." + name, absent);
    }

    private boolean flag(String name, boolean absent) {
        return file.flag(architecture + "." + name, absent);
    }

    private void gpt2(ObjectNode json) {
        json.put("n_embd", key("embedding_length", 0));
        json.put("n_inner", key("feed_forward_length", 0));
        json.put("n_layer", key("block_count", 0));
        json.put("n_head", key("attention.head_count", 0));
        json.put("n_positions", key("context_length", 1024));
        json.put("layer_norm_epsilon", number("attention.layer_norm_epsilon", 1e-5));
        json.put("activation_function", "gelu_new");
        json.put("tie_word_embeddings", !file.hasTensor("output.weight"));
    }

    private void gemma(ObjectNode json, String type, ObjectNode rope) {
        boolean second = type.equals("gemma2");
        int layers = key("block_count", 0);
        int largest = second ? Gemma2Config.LARGEST : Gemma3Config.LARGEST;
        int headDim = json.get("head_dim").intValue();
        int heads = json.get("num_attention_heads").intValue();
        json.put("hidden_activation", "gelu_pytorch_tanh");
        json.put(
                "query_pre_attn_scalar",
                layers == largest && heads > 0 ? key("embedding_length", 0) / heads : headDim);
        double scores = number("attn_logit_softcapping", second ? 50 : 0);
        double logits = number("final_logit_softcapping", second ? 30 : 0);
        json.put("attn_logit_softcapping", scores == 0 ? null : Double.valueOf(scores));
        json.put("final_logit_softcapping", logits == 0 ? null : Double.valueOf(logits));
        int window = key("attention.sliding_window", second ? 4096 : 0);
        json.put("sliding_window", window == 0 ? null : Integer.valueOf(window));
        windows(json.putArray("layer_types"), layers, window, second);
        if (!second) {
            ObjectNode both = json.putObject("rope_parameters");
            both.set("full_attention", rope);
            both.putObject("sliding_attention")
                    .put("rope_type", "default")
                    .put("rope_theta", number("rope.freq_base_swa", 1e4));
        }
    }

    private void windows(ArrayNode types, int layers, int window, boolean second) {
        List<Boolean> named = file.flags(architecture + ".attention.sliding_window_pattern");
        boolean single =
                named.isEmpty() && file.has(architecture + ".attention.sliding_window_pattern");
        int period = single ? key("attention.sliding_window_pattern", 1) : 0;
        IntPredicate usual = second ? Gemma2Config::slides : Gemma3Config::slides;
        for (int i = 0; i < layers; i++) {
            boolean slides =
                    i < named.size()
                            ? named.get(i)
                            : single ? period == 0 || i % period < period - 1 : usual.test(i);
            types.add(slides && window > 0 ? "sliding_attention" : "full_attention");
        }
    }

    private ObjectNode rope(int positions, int turned) {
        ObjectNode rope = JsonNodeFactory.instance.objectNode();
        double theta = number("rope.freq_base", 10000);
        rope.put("rope_theta", theta);
        String type = file.string(architecture + ".rope.scaling.type");
        double factor = number("rope.scaling.factor", 1);
        int original = key("rope.scaling.original_context_length", positions);
        if (file.hasTensor(GgufNames.ROPE_FREQUENCIES)) {
            llama3(rope, theta, turned);
        } else if (file.hasTensor(GgufNames.ROPE_LONG)) {
            longRope(rope, original);
        } else if (isPlain(type) || factor == 1) {
            rope.put("rope_type", "default");
        } else if (type != null && (type.equals("linear") || type.equals("yarn"))) {
            rope.put("rope_type", type);
            rope.put("factor", factor);
            if (type.equals("yarn")) {
                yarn(rope, factor, original);
            }
        } else {
            throw FormatException.of(
                    "%s: rope.scaling.type %s is not read; fetch the model's safetensors form",
                    file.path(), type);
        }
        return rope;
    }

    private static boolean isPlain(@Nullable String type) {
        return type == null || type.equals("none");
    }

    private void yarn(ObjectNode rope, double factor, int original) {
        rope.put("original_max_position_embeddings", original);
        rope.put("beta_fast", number("rope.scaling.yarn_beta_fast", 32));
        rope.put("beta_slow", number("rope.scaling.yarn_beta_slow", 1));
        rope.put(
                "attention_factor",
                number("rope.scaling.attn_factor", 1) * (0.1 * Math.log(factor) + 1));
    }

    private void longRope(ObjectNode rope, int original) {
        rope.put("rope_type", "longrope");
        rope.put("original_max_position_embeddings", original);
        rope.put("attention_factor", number("rope.scaling.attn_factor", 1));
        put(rope.putArray("short_factor"), GgufNames.ROPE_SHORT);
        put(rope.putArray("long_factor"), GgufNames.ROPE_LONG);
    }

    private void put(ArrayNode array, String tensor) {
        for (float value : file.floatTensor(tensor)) {
            array.add(value);
        }
    }

    /**
     * The file has the divisors themselves, not what they follow from: a factor, which the largest
     * is, and a context length, which is a power of two. Bounds are those of all published models.
     */
    private void llama3(ObjectNode rope, double theta, int turned) {
        float[] stored = file.floatTensor(GgufNames.ROPE_FREQUENCIES);
        float largest = 1;
        for (float divisor : stored) {
            largest = Math.max(largest, divisor);
        }
        for (int original = 16; original <= MAX_ORIGINAL; original *= 2) {
            if (gives(new RopeScaling.Llama3(largest, 1, 4, original), theta, turned, stored)) {
                rope.put("rope_type", "llama3");
                rope.put("factor", largest);
                rope.put("low_freq_factor", 1.0);
                rope.put("high_freq_factor", 4.0);
                rope.put("original_max_position_embeddings", original);
                return;
            }
        }
        throw FormatException.of(
                "%s: %s holds divisors that no published LLaMA 3 has; keep the model's config.json beside the"
                        + " file",
                file.path(), GgufNames.ROPE_FREQUENCIES);
    }

    private static boolean gives(
            RopeScaling.Llama3 tried, double theta, int turned, float[] divisors) {
        float[] plain = new RopeScaling.Default().frequencies(turned, theta, 0, 0);
        float[] scaled = tried.frequencies(turned, theta, 0, 0);
        for (int i = 0; i < plain.length; i++) {
            if (i >= divisors.length
                    || Math.abs(plain[i] / scaled[i] - divisors[i]) > 1e-3 * divisors[i]) {
                return false;
            }
        }
        return true;
    }
}
