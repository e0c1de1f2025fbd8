package org.qlora4j.export;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.GgufType;
import org.qlora4j.checkpoint.GgufWriter;
import org.qlora4j.checkpoint.TensorWriter;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.GgufLayout;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.lora.StoredAdapter;
import org.qlora4j.model.ModelShape;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * An adapter as a GGUF file that llama.cpp puts on a model ({@code --lora}): {@code NAME.lora_a}
 * and {@code NAME.lora_b} in f32 for each weight that it changes. llama.cpp scales all of them by
 * alpha over rank; where ranks, alphas or rsLoRA make another scale, B carries the difference.
 */
public final class GgufAdapter {
    private GgufAdapter() {}

    /**
     * Writes the file.
     *
     * @param model the base model
     * @param adapter folder with PEFT's files
     * @param out a file that does not exist yet
     * @return number of weights that the adapter changes
     * @throws FormatException if GGUF has no form for the adapter
     */
    public static int write(ModelPlace model, Path adapter, Path out) {
        if (Files.exists(out)) {
            throw ConfigException.of("%s exists; name a new file for the adapter", out);
        }
        return Engine.call(() -> {
            try (Checkpoint checkpoint = model.open();
                    StoredAdapter stored = StoredAdapter.open(adapter);
                    Arena arena = Arena.ofConfined()) {
                return write(checkpoint, model.shape(), stored, arena, out);
            }
        });
    }

    private static int write(
            Checkpoint checkpoint, ModelShape shape, StoredAdapter adapter, Arena arena, Path out) {
        if (adapter.config().useDora() || !adapter.isPlain()) {
            throw FormatException.of(
                    "%s: llama.cpp takes factors A and B alone; magnitudes of DoRA and modules trained whole have no form"
                            + " there, merge the adapter with --format gguf",
                    out);
        }
        MergedCheckpoint base = new MergedCheckpoint(checkpoint, null, null, shape);
        adapter.requireFits(base.names(), null);
        GgufLayout layout = GgufLayout.of(shape);
        GgufWriter writer = new GgufWriter();
        writer.put("general.architecture", layout.names().architecture());
        writer.put("general.type", "adapter");
        writer.put("adapter.type", "lora");
        writer.put("adapter.lora.alpha", (float) adapter.config().loraAlpha());
        for (String name : base.names()) {
            if (adapter.hasFactorsOf(name)) {
                add(writer, layout, name, base.info(name).shape(), adapter, arena);
            }
        }
        writer.write(out);
        return writer.tensors() / 2;
    }

    private static void add(
            GgufWriter writer,
            GgufLayout layout,
            String name,
            long[] shape,
            StoredAdapter adapter,
            Arena arena) {
        String gguf = Objects.requireNonNull(layout.name(name), "the model has this name in GGUF");
        try (TensorScope scope = TensorScope.open()) {
            long[] size = layout.size(name, shape); // [out, in]
            Tensor a = adapter.factorA(name, size);
            Tensor b = adapter.factorB(name, size).times(adapter.correction(name));
            b = layout.factorToFile(name, b);
            writer.add(gguf + ".lora_a", GgufType.F32, a.shape(), bytes(a, arena));
            writer.add(gguf + ".lora_b", GgufType.F32, b.shape(), bytes(b, arena));
        }
    }

    private static TensorWriter.Source bytes(Tensor tensor, Arena arena) {
        var copy = Tensors.copyOf(tensor, arena);
        return sink -> sink.accept(copy);
    }
}
