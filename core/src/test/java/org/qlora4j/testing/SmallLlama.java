package org.qlora4j.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.StoredType;

/** A random LLaMA large enough that a lost tensor shows, with the tokenizer of the tiny one. */
public final class SmallLlama {
    private static final int HIDDEN = 128;
    private static final int INNER = 320;
    private static final int LAYERS = 2;
    private static final int VOCABULARY = 160;

    private SmallLlama() {}

    /** Writes the checkpoint into an empty folder. */
    public static Path write(Path folder) {
        return write(folder, HIDDEN, INNER, LAYERS);
    }

    /** As {@link #write(Path)}, of another size; hidden is a multiple of 8. */
    public static Path write(Path folder, int hidden, int inner, int layers) {
        TinyLlama.copyTo(folder, "config.json", "model.safetensors", "README.md", "expected.json");
        try {
            Files.writeString(
                    folder.resolve("config.json"),
                    """
                    {"model_type": "llama", "vocab_size": %d, "hidden_size": %d, "intermediate_size": %d,
                     "num_hidden_layers": %d, "num_attention_heads": 4, "num_key_value_heads": 2,
                     "max_position_embeddings": 512, "eos_token_id": 2}
                    """
                            .formatted(VOCABULARY, hidden, inner, layers));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
        Random random = new Random(5);
        add(writer, random, "model.embed_tokens.weight", VOCABULARY, hidden);
        for (int i = 0; i < layers; i++) {
            String p = "model.layers." + i + ".";
            add(writer, random, p + "input_layernorm.weight", hidden);
            add(writer, random, p + "post_attention_layernorm.weight", hidden);
            add(writer, random, p + "self_attn.q_proj.weight", hidden, hidden);
            add(writer, random, p + "self_attn.k_proj.weight", hidden / 2, hidden);
            add(writer, random, p + "self_attn.v_proj.weight", hidden / 2, hidden);
            add(writer, random, p + "self_attn.o_proj.weight", hidden, hidden);
            add(writer, random, p + "mlp.gate_proj.weight", inner, hidden);
            add(writer, random, p + "mlp.up_proj.weight", inner, hidden);
            add(writer, random, p + "mlp.down_proj.weight", hidden, inner);
        }
        add(writer, random, "model.norm.weight", hidden);
        add(writer, random, "lm_head.weight", VOCABULARY, hidden);
        writer.write(folder.resolve("model.safetensors"));
        return folder;
    }

    private static void add(SafetensorsWriter writer, Random random, String name, long... shape) {
        int count = 1;
        for (long size : shape) {
            count *= (int) size;
        }
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = shape.length == 1 ? 1 : (float) (0.1 * random.nextGaussian());
        }
        writer.add(name, StoredType.F32, shape, MemorySegment.ofArray(values));
    }
}
