package org.qlora4j.family;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import org.qlora4j.checkpoint.GgufNames;
import org.qlora4j.checkpoint.GgufTensors;
import org.qlora4j.checkpoint.GgufType;
import org.qlora4j.checkpoint.GgufWriter;
import org.qlora4j.error.FormatException;
import org.qlora4j.kernel.Activation;
import org.qlora4j.model.LayerWindows;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.Rope;
import org.qlora4j.model.RopeScaling;

/**
 * The keys of a model's sizes, angles and windows, as llama.cpp reads them of each architecture
 * (its {@code src/models}). What it cannot compute is refused, or said where texts of usual length
 * do not meet it.
 *
 * @param arch prefix of the keys
 * @param notices takes what the file cannot say, for people
 */
public record GgufKeys(GgufWriter writer, String arch, ModelShape shape, List<String> notices) {
    /**
     * Writes them, and the tensors of divisors of angles.
     *
     * @param rows of the embedding table
     */
    public void put(int rows) {
        ModelFacts facts = shape.facts();
        put("vocab_size", rows);
        put("context_length", facts.maxPositions());
        put("embedding_length", facts.hiddenSize());
        put("block_count", facts.layers());
        put("feed_forward_length", facts.intermediateSize());
        put("attention.head_count", facts.heads());
        put("attention.head_count_kv", facts.kvHeads());
        put("attention.key_length", facts.headDim());
        put("attention.value_length", facts.headDim());
        switch (shape.architecture()) {
            case LlamaConfig model -> llamaLike(model.normEps(), model.rope(), LayerWindows.NONE);
            case MistralConfig model -> llamaLike(model.normEps(), model.rope(), model.windows());
            case Qwen2Config model -> llamaLike(model.normEps(), model.rope(), model.windows());
            case Qwen3Config model -> {
                requireNone(model.attentionBias(), "attention_bias true");
                llamaLike(model.normEps(), model.rope(), model.windows());
            }
            case GemmaConfig model -> {
                requireGemma(model.attentionBias(), model.tieEmbeddings());
                llamaLike(model.normEps(), model.rope(), LayerWindows.NONE);
            }
            case Gemma2Config model -> gemma2(model);
            case Gemma3Config model -> gemma3(model);
            case Phi3Config model -> {
                llamaLike(model.normEps(), model.rope(), model.windows());
                put("attention.sliding_window", model.windows().positions());
            }
            case Gpt2Config model -> {
                requireGelu(model.activation());
                requireNone(!model.scaled(), "scale_attn_weights false");
                requireNone(model.scaledByLayer(), "scale_attn_by_inverse_layer_idx true");
                put("attention.layer_norm_epsilon", (float) model.normEps());
            }
            case GptNeoxConfig model -> neox(model);
            default ->
                    throw FormatException.of(
                            "models of type %s are not written as GGUF", facts.type());
        }
    }

    private void put(String key, int value) {
        writer.put(arch + "." + key, value);
    }

    private void put(String key, float value) {
        writer.put(arch + "." + key, value);
    }

    private void llamaLike(double eps, Rope rope, LayerWindows windows) {
        put("attention.layer_norm_rms_epsilon", (float) eps);
        putRope(rope);
        if (windows.positions() > 0) {
            notices.add(
                    "llama.cpp computes %s without the window of %d positions that config.json names; texts beyond it"
                                    .formatted(arch, windows.positions())
                            + " differ");
        }
    }

    private void gemma2(Gemma2Config model) {
        requireGemma(model.attentionBias(), model.tieEmbeddings());
        requireNone(model.attention().softcap() == 0, "attn_logit_softcapping null");
        requireNone(model.logitCap() == 0, "final_logit_softcapping null");
        llamaLike(model.normEps(), model.rope(), LayerWindows.NONE);
        put("attn_logit_softcapping", (float) model.attention().softcap());
        put("final_logit_softcapping", (float) model.logitCap());
        putWindows(
                model.windows().positions() > 0
                        ? model.windows()
                        : new LayerWindows(shape.maxPositions(), model.windows().layers()),
                Gemma2Config::slides);
    }

    private void gemma3(Gemma3Config model) {
        requireNone(model.attentionBias(), "attention_bias true");
        llamaLike(model.normEps(), model.rope(), LayerWindows.NONE);
        requireNone(
                !(model.localRope().scaling() instanceof RopeScaling.Default),
                "a rope_type of layers with a window");
        put("rope.freq_base_swa", (float) model.localRope().theta());
        if (model.logitCap() != 0) {
            put("final_logit_softcapping", (float) model.logitCap());
        }
        if (model.windows().positions() > 0) {
            putWindows(model.windows(), Gemma3Config::slides);
        }
    }

    /** The window, and its layers where they are not those that llama.cpp expects. */
    private void putWindows(LayerWindows windows, IntPredicate usual) {
        put("attention.sliding_window", windows.positions());
        int[] slides =
                IntStream.range(0, shape.layers())
                        .map(layer -> windows.slides(layer) ? 1 : 0)
                        .toArray();
        boolean expected =
                IntStream.range(0, slides.length)
                        .allMatch(layer -> usual.test(layer) == (slides[layer] == 1));
        if (!expected) {
            writer.put(arch + ".attention.sliding_window_pattern", slides);
        }
    }

    private void neox(GptNeoxConfig model) {
        requireGelu(model.activation());
        requireNone(!model.bias(), "attention_bias false");
        requireNone(model.tieEmbeddings(), "tie_word_embeddings true");
        put("attention.layer_norm_epsilon", (float) model.normEps());
        writer.put(arch + ".use_parallel_residual", model.parallel());
        putRope(model.rope());
        if (model.activation() == Activation.GELU) {
            notices.add("llama.cpp computes GELU by tanh; logits differ in their fourth digit");
        }
    }

    private void requireGemma(boolean bias, boolean tied) {
        requireNone(bias, "attention_bias true");
        requireNone(!tied && shape.hasOwnHead(), "a head of its own");
    }

    private void requireGelu(Activation activation) {
        requireNone(activation == Activation.RELU, "the activation relu");
    }

    private void requireNone(boolean there, String what) {
        if (there) {
            throw FormatException.of(
                    "models of type %s with %s have no form in GGUF; use --format hf",
                    shape.facts().type(), what);
        }
    }

    private void putRope(Rope rope) {
        int turned = (int) (shape.facts().headDim() * rope.share());
        put("rope.dimension_count", turned);
        put("rope.freq_base", (float) rope.theta());
        switch (rope.scaling()) {
            case RopeScaling.Default _ -> {}
            case RopeScaling.Linear(double factor) -> putStretch("linear", factor);
            case RopeScaling.Yarn yarn -> putYarn(yarn);
            case RopeScaling.Llama3 llama3 -> {
                requireNone(!arch.equals("llama"), "rope_type llama3");
                putDivisors(llama3, turned, rope.theta());
            }
            case RopeScaling.LongRope longRope -> putLongRope(longRope);
            case RopeScaling.Dynamic _ -> requireNone(true, "rope_type dynamic");
        }
    }

    private void putStretch(String type, double factor) {
        writer.put(arch + ".rope.scaling.type", type);
        put("rope.scaling.factor", (float) factor);
    }

    /** Cosines and sines are multiplied by {@code 0.1 ln(factor) + 1} there, times the key's. */
    private void putYarn(RopeScaling.Yarn yarn) {
        requireNone(!yarn.truncate(), "rope_type yarn and truncate false");
        putStretch("yarn", yarn.factor());
        put("rope.scaling.original_context_length", (int) yarn.original());
        double usual = 0.1 * Math.log(yarn.factor()) + 1;
        if (Math.abs(yarn.attention() / usual - 1) > 1e-6) {
            put("rope.scaling.attn_factor", (float) (yarn.attention() / usual));
        }
        if (yarn.betaFast() != 32) {
            put("rope.scaling.yarn_beta_fast", (float) yarn.betaFast());
        }
        if (yarn.betaSlow() != 1) {
            put("rope.scaling.yarn_beta_slow", (float) yarn.betaSlow());
        }
    }

    private void putDivisors(RopeScaling.Llama3 scaling, int turned, double theta) {
        float[] plain = new RopeScaling.Default().frequencies(turned, theta, 0, 0);
        float[] scaled = scaling.frequencies(turned, theta, 0, 0);
        float[] divisors = new float[plain.length];
        for (int i = 0; i < divisors.length; i++) {
            divisors[i] = plain[i] / scaled[i];
        }
        addTensor(GgufNames.ROPE_FREQUENCIES, divisors);
    }

    private void putLongRope(RopeScaling.LongRope longRope) {
        requireNone(!arch.equals("llama") && !arch.equals("phi3"), "rope_type longrope");
        writer.put(arch + ".rope.scaling.type", "longrope");
        put("rope.scaling.original_context_length", longRope.original());
        put("rope.scaling.attn_factor", (float) longRope.attention());
        addTensor(GgufNames.ROPE_SHORT, floats(longRope.shortFactors()));
        addTensor(GgufNames.ROPE_LONG, floats(longRope.longFactors()));
        notices.add(
                "llama.cpp takes the angles for long texts by the size of its context (-c), beyond %d, not of the text"
                        .formatted(longRope.original()));
    }

    private static float[] floats(List<Double> values) {
        float[] out = new float[values.size()];
        for (int i = 0; i < out.length; i++) {
            out[i] = values.get(i).floatValue();
        }
        return out;
    }

    private void addTensor(String name, float[] values) {
        MemorySegment all = MemorySegment.ofArray(values);
        writer.add(
                name,
                GgufType.F32,
                new long[] {values.length},
                sink -> GgufTensors.encode(GgufType.F32, all, values.length, sink));
    }
}
