package org.qlora4j.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.Trainer;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Weight;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.StoredType;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.family.GgufFolder;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.family.Models;
import org.qlora4j.lora.LinearLayer;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.plan.MemoryPlan;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.run.AdapterFolder;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.SmallLlama;
import org.qlora4j.testing.TinyLlama;
import org.qlora4j.train.TinyRun;

/**
 * Weights that stay in the blocks of a GGUF file. They are those that the file decodes to, whose
 * values are the {@code gguf} package's to the bit (GgufBlocksTest).
 */
class KeptBlocksTest {
    private static final QuantConfig PLAIN =
            new QuantConfig(false, QuantType.NF4, false, 64, ComputeDtype.FLOAT32);

    @TempDir Path folder;

    /** A GGUF file of a family's golden model, with the tokenizer of another. */
    private Path gguf(String family, GgufFormat format) throws IOException {
        Path model = Files.createDirectory(folder.resolve(family));
        Path golden = Golden.folder().resolve("families").resolve(family);
        for (String name : List.of("config.json", "model.safetensors")) {
            Files.copy(golden.resolve(name), model.resolve(name));
        }
        for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
            Files.copy(TinyLlama.folder().resolve(name), model.resolve(name));
        }
        return gguf(model, format);
    }

    private Path gguf(Path model, GgufFormat format) throws IOException {
        AdapterMerge source = new AdapterMerge(ModelPlace.of(model), null, null, PLAIN, null);
        Path own = Files.createDirectory(folder.resolve("gguf"));
        Path out = own.resolve("model.gguf");
        new ModelExport(source, MergeTarget.ORIGINAL, List.of(), List.of()).gguf(format, out, true);
        // beside the file, so that none is made among the user's caches
        Path unchecked = out.resolveSibling("model-unchecked.gguf");
        Path made = Files.exists(out) ? out : unchecked;
        GgufFolder.write(made, own);
        return made;
    }

    /** Rows in another order, weights the other way around, several linears in one. */
    @ParameterizedTest
    @CsvSource({"llama, Q5_0", "gpt2, Q4_0", "gpt-neox, Q5_1", "phi3, Q8_0", "gemma3, Q4_1"})
    void keptWeights_areThoseOfTheFile(String family, GgufFormat format) throws IOException {
        assertThat(requireKept(gguf(family, format))).contains(format.name());
    }

    @Test
    void mixtureOfSixBits_isKept() throws IOException {
        Path model = Files.createDirectory(folder.resolve("model"));
        Path file = gguf(SmallLlama.write(model, 256, 256, 2), GgufFormat.Q4_K_M);
        assertThat(requireKept(file)).containsExactly("Q4_K", "Q6_K");
    }

    /** Compares each weight with the file's; returns the types. */
    private static TreeSet<String> requireKept(Path file) {
        long before = NativeMemory.liveBytes();
        TreeSet<String> types = new TreeSet<>();
        try (TensorScope scope = TensorScope.open();
                Arena arena = Arena.ofConfined();
                Checkpoint checkpoint = Checkpoint.open(file);
                CausalModel model = Models.load(file, PLAIN.keepingStored(), DType.F32)) {
            Map<String, Boolean> transposed = new HashMap<>();
            model.shape().linears().forEach(l -> transposed.put(l.path(), l.transposed()));
            for (LinearLayer linear : model.linears()) {
                String name = linear.path() + ".weight";
                Tensor stored = TensorBytes.toTensor(checkpoint.read(name, arena));
                Tensor expected =
                        transposed.getOrDefault(linear.path(), false)
                                ? stored.t().contiguous()
                                : stored;
                if (linear.weight() instanceof Weight.Blocks blocks) {
                    types.add(blocks.matrix().type().name());
                    // where a file is read without keeping blocks, some are rounded to bf16
                    boolean rounded = checkpoint.info(name).type() == StoredType.BF16;
                    Tensor kept = linear.weight().dense(DType.F32);
                    kept = rounded ? kept.to(DType.BF16) : kept;
                    Close.assertClose(name, kept, expected, 0, 0);
                } else {
                    assertThat(expected.size(1) % 32).as(name).isNotZero();
                }
            }
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
        return types;
    }

    private static float[] logits(CausalModel model, int... ids) {
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.inference();
                BatchContext seen = BatchContext.of(1, ids.length)) {
            Tensor batch = Tensors.of(ids, 1, ids.length).to(DType.I64);
            return model.logits(model.hidden(tape, batch, seen, false).value()).toFloats();
        }
    }

    private void requireSameWhenStreamed(RunConfig config, Path adapter) throws IOException {
        RunConfig streamed =
                config.toBuilder()
                        .model(model -> model.streamLayers(true))
                        .train(train -> train.outputDir(folder.resolve("streamed")))
                        .build();
        new Trainer(streamed).run();
        String file = Checkpoint.ADAPTER_FILE;
        assertThat(AdapterFolder.of(folder.resolve("streamed")).files().resolve(file))
                .hasSameBinaryContentAs(adapter.resolve(file));
    }

    @Test
    void trainedAdapter_mergesIntoWhatItLearntBeside() throws IOException {
        Path file = gguf("llama", GgufFormat.Q5_0);
        RunConfig config =
                TinyRun.config(
                        folder.resolve("run"),
                        TinyRun.data(folder),
                        "model.model_name_or_path=" + file,
                        "quantization.keep_quantization=true",
                        "train.learning_rate=0.05",
                        "train.max_steps=3");
        assertThat(MemoryPlan.of(config).weights())
                .isEqualTo(
                        Models.kept(ModelPlace.of(file)).bytes().values().stream()
                                        .mapToLong(Long::longValue)
                                        .sum()
                                + plainBytes(file));
        new Trainer(config).run();
        Path adapter = AdapterFolder.of(folder.resolve("run")).files();
        requireSameWhenStreamed(config, adapter);
        AdapterMerge merge =
                new AdapterMerge(
                        ModelPlace.of(file),
                        AdapterMix.of(adapter),
                        null,
                        config.quantization(),
                        null);
        Path out = folder.resolve("merged");
        merge.write(MergeTarget.DEQUANTIZED, out);
        int[] ids = {1, 40, 7, 99, 12, 120, 33, 8};
        try (MergedModels.Adapted adapted = MergedModels.adapted(merge);
                CausalModel base = Models.load(file, PLAIN, DType.F32);
                CausalModel merged = Models.load(out, PLAIN, DType.F32)) {
            float[] expected = logits(adapted.model(), ids);
            try (TensorScope scope = TensorScope.open()) {
                Tensor with = Tensors.of(expected, expected.length);
                Tensor actual = Tensors.of(logits(merged, ids), expected.length);
                // lines of 56 weights are no blocks: they are F16 in the file, and when merged
                Close.assertClose("logits", actual, with, 1e-3, 0);
                Tensor without = Tensors.of(logits(base, ids), expected.length);
                assertThat(without.minus(with).abs().amax(0, false).item()).isGreaterThan(0.01);
            }
        }
    }

    /** Bytes in f32 of the linears whose lines are no whole blocks. */
    private static long plainBytes(Path file) {
        var kept = Models.kept(ModelPlace.of(file)).bytes();
        return ModelPlace.of(file).shape().linears().stream()
                .filter(linear -> !kept.containsKey(linear.path()))
                .mapToLong(linear -> 4 * linear.out() * linear.in())
                .sum();
    }

    @Test
    void fileWithoutBlocks_isRefused() throws IOException {
        Path file = gguf("llama", GgufFormat.F16);
        assertThatThrownBy(() -> Models.load(file, PLAIN.keepingStored(), DType.F32))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("no weight of " + file + " (in F16) is in blocks");
    }
}
