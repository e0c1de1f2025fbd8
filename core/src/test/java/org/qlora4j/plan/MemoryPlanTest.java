package org.qlora4j.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Batch;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.Families;
import org.qlora4j.family.Models;
import org.qlora4j.family.NamedShapes;
import org.qlora4j.kernel.KernelMemory;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Decoder;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.Task;
import org.qlora4j.model.Weights;
import org.qlora4j.optim.AdamW;
import org.qlora4j.optim.OptimConfig;
import org.qlora4j.optim.ParameterGroup;
import org.qlora4j.optim.TrainableParameters;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.testing.Golden;
import org.qlora4j.train.MicroBatch;

/** The plan beside the tensor layer's own count of the most bytes it held; seed 1. */
class MemoryPlanTest {
    @TempDir static Path folder;

    /** A LLaMA. */
    private static ModelShape shape(
            int vocabulary, int hidden, int layers, int inner, int heads, int kvHeads) {
        String config =
                """
                {"model_type": "llama", "vocab_size": %d, "hidden_size": %d,
                 "num_hidden_layers": %d, "intermediate_size": %d, "num_attention_heads": %d,
                 "num_key_value_heads": %d, "tie_word_embeddings": %b, "eos_token_id": 2}
                """;
        try {
            Files.writeString(
                    folder.resolve("config.json"),
                    config.formatted(
                            vocabulary, hidden, layers, inner, heads, kvHeads, kvHeads == heads));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return Families.shape(folder);
    }

    /** Each is dominated by another part: MLP, attention and dropout, logits, f32, all weights. */
    @ParameterizedTest(name = "{0}, checkpointing {12}")
    @CsvSource({
        "wide MLP, 1000, 128, 4, 512, 8, 2, true, bfloat16, 0, false, 2x64, false",
        "wide MLP, 1000, 128, 4, 512, 8, 2, true, bfloat16, 0, false, 2x64, true",
        "long text, 500, 128, 3, 256, 8, 8, true, bfloat16, 0.1, false, 1x288, false",
        "long text, 500, 128, 3, 256, 8, 8, true, bfloat16, 0.1, false, 1x288, true",
        "vocabulary, 10000, 64, 3, 160, 4, 4, true, bfloat16, 0, false, 4x64, false",
        "vocabulary, 10000, 64, 3, 160, 4, 4, true, bfloat16, 0, false, 4x64, true",
        "f32, 1000, 96, 5, 256, 6, 2, false, float32, 0, false, 3x80, false",
        "f32, 1000, 96, 5, 256, 6, 2, false, float32, 0, false, 3x80, true",
        "full, 1000, 96, 5, 256, 6, 2, false, bfloat16, 0, true, 3x80, false",
        "full, 1000, 96, 5, 256, 6, 2, false, bfloat16, 0, true, 3x80, true",
    })
    void plan_isWithinATenthOfWhatTensorsHeld(
            String name,
            int vocabulary,
            int hidden,
            int layers,
            int inner,
            int heads,
            int kvHeads,
            boolean quantized,
            String dtype,
            double dropout,
            boolean full,
            String size,
            boolean checkpointing) {
        ModelShape shape = shape(vocabulary, hidden, layers, inner, heads, kvHeads);
        RunConfig config =
                RunConfig.of(
                        "model.model_name_or_path=llama-7b",
                        "data.dataset=none.jsonl",
                        "train.output_dir=none",
                        "train.gradient_checkpointing=" + checkpointing,
                        "train.full_finetune=" + full,
                        "train.optim=adamw_torch",
                        "lora.r=8",
                        "lora.lora_dropout=" + dropout,
                        "quantization.load_in_4bit=" + quantized,
                        "quantization.bnb_4bit_compute_dtype=" + dtype);
        int batch = Integer.parseInt(size.substring(0, size.indexOf('x')));
        int time = Integer.parseInt(size.substring(size.indexOf('x') + 1));
        assertPlanned(name, shape, config, filled(shape, batch, time));
    }

    /** What learns besides the factors, and how the optimizer holds its state. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "train.optim=adamw_8bit",
                "train.optim=paged_adamw_8bit",
                "train.optim=adamw_8bit train.full_finetune=true quantization.load_in_4bit=false",
                "lora.use_dora=true train.gradient_checkpointing=false",
                "lora.use_dora=true train.gradient_checkpointing=true",
                "lora.use_dora=true lora.lora_dropout=0.1 train.gradient_checkpointing=false",
                "lora.modules_to_save=[embed_tokens,lm_head] train.optim=adamw_torch",
                "lora.modules_to_save=[norm] train.optim=adamw_8bit",
            })
    void plan_knowsWhatLearnsAndItsState(String settings) {
        ModelShape shape = shape(1000, 96, 4, 256, 6, 2);
        List<String> words = new ArrayList<>(List.of(settings.split(" ", -1)));
        words.addAll(
                List.of(
                        "model.model_name_or_path=llama-7b",
                        "data.dataset=none.jsonl",
                        "train.output_dir=none",
                        "lora.r=16"));
        RunConfig config = RunConfig.of(words.toArray(String[]::new));
        assertPlanned(settings, shape, config, filled(shape, 2, 80));
    }

    /** Rows of four examples each, as packing fills them. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void plan_holdsForPackedRows(boolean checkpointing) {
        ModelShape shape = shape(1000, 96, 4, 256, 6, 2);
        RunConfig config =
                RunConfig.of(
                        "model.model_name_or_path=llama-7b",
                        "data.dataset=none.jsonl",
                        "data.packing=true",
                        "data.source_max_len=32",
                        "data.target_max_len=128",
                        "train.output_dir=none",
                        "train.per_device_train_batch_size=2",
                        "train.gradient_checkpointing=" + checkpointing);
        Batch filled = filled(shape, 2, 160);
        int[] starts = new int[filled.inputIds().length];
        Arrays.setAll(starts, i -> i % 160 / 40 * 40);
        assertThat(MemoryPlan.Load.of(config, shape).time()).isEqualTo(160);
        assertPlanned(
                "packed",
                shape,
                config,
                new Batch(
                        2,
                        160,
                        filled.inputIds(),
                        filled.labels(),
                        filled.attentionMask(),
                        starts));
    }

    /** The golden checkpoints of every family that is a decoder, in 4 bits with adapters. */
    static List<String> decoders() throws IOException {
        try (Stream<Path> folders = Files.list(Golden.folder().resolve("families"))) {
            return folders.filter(folder -> Files.exists(folder.resolve("config.json")))
                    .map(folder -> folder.getFileName().toString())
                    .filter(MemoryPlanTest::isKnown)
                    .sorted()
                    .toList();
        }
    }

    private static boolean isKnown(String family) {
        try {
            ModelShape shape = Families.shape(Golden.folder().resolve("families").resolve(family));
            return shape.architecture().task() instanceof Task.NextToken;
        } catch (FormatException e) {
            return false;
        }
    }

    @ParameterizedTest
    @MethodSource("decoders")
    void plan_holdsForEveryFamily(String family) {
        ModelShape shape = Families.shape(Golden.folder().resolve("families").resolve(family));
        for (boolean checkpointing : new boolean[] {true, false}) {
            RunConfig config =
                    RunConfig.of(
                            "model.model_name_or_path=llama-7b",
                            "data.dataset=none.jsonl",
                            "train.output_dir=none",
                            "lora.r=8",
                            "lora.lora_dropout=0.05",
                            "train.gradient_checkpointing=" + checkpointing);
            assertPlanned(family, shape, config, filled(shape, 2, 48));
        }
    }

    /** A text of tokens and its class; a source with its end, and a target. */
    @ParameterizedTest
    @CsvSource({
        "roberta-classifier, 48, 1",
        "t5, 48, 48",
        "flan-t5, 48, 48",
        "flan-t5, 90, 12",
        "flan-t5, 12, 90"
    })
    void plan_holdsForModelsWithAnEncoder(String family, int read, int written) {
        ModelShape shape = Families.shape(Golden.folder().resolve("families").resolve(family));
        boolean classifies = shape.architecture().task() instanceof Task.Classify;
        int time = read + written;
        Batch filled = filled(shape, 2, time);
        int[] labels = new int[2 * time];
        for (int i = 0; i < labels.length; i++) {
            labels[i] = i % time < read ? Batch.IGNORED : filled.inputIds()[i];
        }
        if (classifies) {
            filled.inputIds()[read] = 2;
            filled.inputIds()[time + read] = 0;
        }
        Batch batch = new Batch(2, time, filled.inputIds(), labels, filled.attentionMask());
        for (boolean checkpointing : new boolean[] {true, false}) {
            RunConfig config =
                    RunConfig.of(
                            "model.model_name_or_path=llama-7b",
                            "data.dataset=none.jsonl",
                            "train.output_dir=none",
                            "lora.r=8",
                            "train.gradient_checkpointing=" + checkpointing);
            int source = classifies ? 0 : read;
            assertPlanned(family, shape, config, batch, source, classifies ? read : written);
        }
    }

    private static Batch filled(ModelShape shape, int batch, int time) {
        int[] ids = new Random(1).ints((long) batch * time, 0, shape.vocabularySize()).toArray();
        boolean[] mask = new boolean[ids.length];
        Arrays.fill(mask, true);
        return new Batch(batch, time, ids, ids.clone(), mask);
    }

    private static void assertPlanned(
            String name, ModelShape shape, RunConfig config, Batch batch) {
        assertPlanned(name, shape, config, batch, 0, batch.time());
    }

    private static void assertPlanned(
            String name, ModelShape shape, RunConfig config, Batch batch, int source, int time) {
        MemoryPlan plan =
                MemoryPlan.of(
                        shape,
                        config.quantization(),
                        config.lora(),
                        MemoryPlan.Load.of(config, batch.batch(), source, time),
                        new MemoryPlan.Machine(true, KernelMemory.of(Kernels.current())));
        long[] measured = measure(shape, config, batch);
        // DoRA's start decodes every weight, so that the buffer is there from then on
        long buffer =
                config.lora().useDora()
                        ? 2
                                * shape.linears().stream()
                                        .mapToLong(l -> l.in() * l.out())
                                        .max()
                                        .orElse(0)
                        : 0;
        assertThat(plan.fixed() - plan.workspace() + buffer)
                .as("%s: what stays", name)
                .isEqualTo(measured[0]);
        assertThat(plan.total())
                .as("%s: %s", name, plan.parts())
                .isCloseTo(measured[1], Percentage.withPercentage(3));
    }

    /** Bytes before the first step, and the most in two steps. */
    private static long[] measure(ModelShape shape, RunConfig config, Batch batch) {
        boolean full = config.train().fullFinetune();
        DType compute =
                "FLOAT32".equals(config.quantization().computeDtype().name())
                        ? DType.F32
                        : DType.BF16;
        OptimConfig adam = new OptimConfig(config.train().optim(), 0.9, 0.999, 1e-8, 0);
        long before = NativeMemory.liveBytes();
        try (CausalModel model = Models.random(shape, config.quantization(), compute, full, 1);
                Adapted adapted = Adapted.of(model, config, compute);
                TrainableParameters parameters =
                        new TrainableParameters(
                                adapted.parameters, p -> ParameterGroup.of(p, null));
                AdamW optimizer = new AdamW(parameters, adam, Path.of("."))) {
            long stays = NativeMemory.liveBytes() - before;
            NativeMemory.resetPeak();
            for (int step = 0; step < 2; step++) {
                MicroBatch.backward(model, batch, config.train().gradientCheckpointing(), step);
                parameters.divideAndClip(batch.labelTokens(), 0.3);
                optimizer.step(1e-4);
                parameters.refresh();
                parameters.zeroGradients();
            }
            return new long[] {stays, NativeMemory.peakBytes() - before};
        }
    }

    /** What learns: adapters, or the model's own weights. */
    private record Adapted(List<Parameter> parameters, AutoCloseable owner)
            implements AutoCloseable {
        static Adapted of(CausalModel model, RunConfig config, DType compute) {
            if (config.train().fullFinetune()) {
                return new Adapted(model.parameters(), () -> {});
            }
            LoraAdapter adapter =
                    LoraAdapter.create(
                            config.lora(), model.linears(), model.parameters(), compute, 1);
            return new Adapted(adapter.parameters(), adapter);
        }

        @Override
        public void close() {
            try {
                owner.close();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
    }

    /** Says of its layers that they differ, so that each is run through. */
    private record Unlike(Architecture same) implements Architecture {
        @Override
        public ModelFacts facts() {
            return same.facts();
        }

        @Override
        public Decoder build(Weights weights) {
            return same.build(weights);
        }
    }

    @ParameterizedTest
    @CsvSource({"gpt2, true", "gpt2, false", "llama-1.1b, true"})
    void layersThatAreAlike_areNotAllRunThrough(String model, boolean checkpointing) {
        RunConfig config =
                paper(model).toBuilder().train(t -> t.gradientCheckpointing(checkpointing)).build();
        ModelShape shape = MemoryPlan.shape(config);
        ModelShape each = ModelShape.of(new Unlike(shape.architecture()));
        assertThat(MemoryPlan.of(config, shape, MemoryPlan.Machine.GPU))
                .isEqualTo(MemoryPlan.of(config, each, MemoryPlan.Machine.GPU));
    }

    /** The paper's claims (arXiv 2305.14314, section 1 and appendix B): rank 64, one row of 512. */
    @ParameterizedTest
    @CsvSource({"llama-7b, 24", "llama-13b, 24", "llama-33b, 24", "llama-65b, 48"})
    void paperSettings_fitThePapersGpus(String model, long gib) {
        MemoryPlan plan = onGpu(paper(model));
        assertThat(plan.total()).isLessThan((gib << 30) - (1L << 30));
        assertThat(plan.weights()).isGreaterThan(plan.total() / 2);
    }

    private static MemoryPlan onGpu(RunConfig config) {
        return MemoryPlan.of(config, MemoryPlan.shape(config), MemoryPlan.Machine.GPU);
    }

    private static RunConfig paper(String model) {
        return RunConfig.of(
                "model.model_name_or_path=" + model,
                "data.dataset=none.jsonl",
                "train.output_dir=none",
                "data.source_max_len=16",
                "data.target_max_len=496",
                "train.per_device_train_batch_size=1",
                "train.gradient_checkpointing=true",
                "train.optim=paged_adamw_32bit",
                "lora.r=64",
                "lora.lora_dropout=0.05");
    }

    /**
     * Each class is a row of 768 and a bias in bf16; it learns by masters and gradients in f32, and
     * in bf16.
     */
    @Test
    void classesOfTheSettings_countInThePlan() {
        MemoryPlan two = onGpu(paper("roberta-base"));
        RunConfig twenty =
                paper("roberta-base").toBuilder().model(model -> model.numLabels(20)).build();
        assertThat(onGpu(twenty).others() - two.others()).isEqualTo(18 * 769 * 2);
        assertThat(onGpu(twenty).adapters() - two.adapters()).isEqualTo(18 * 769 * (4 + 4 + 2));
        RunConfig llama = paper("llama-7b").toBuilder().model(model -> model.numLabels(2)).build();
        assertThatThrownBy(() -> onGpu(llama))
                .isInstanceOf(ConfigException.class)
                .hasMessageEndingWith("for models of type llama, which classify no texts");
    }

    /** A classifier reads sources alone; an encoder's are beside what is written. */
    @Test
    void rowsOfEachTask_areAsLongAsItsSettings() {
        RunConfig config = paper("llama-7b");
        assertThat(rows(config, "llama-7b")).containsExactly(0, 512);
        assertThat(rows(config, "roberta-base")).containsExactly(0, 16);
        assertThat(rows(config, "flan-t5-base")).containsExactly(16, 496);
    }

    private static List<Integer> rows(RunConfig config, String model) {
        var load = MemoryPlan.Load.of(config, NamedShapes.named(model).orElseThrow());
        return List.of(load.source(), load.time());
    }

    /** What was set as bfloat16 is f32 where a CPU computes so: all but masters twice as wide. */
    @Test
    void machineWithoutBf16_takesF32() {
        RunConfig config = paper("llama-7b");
        ModelShape shape = MemoryPlan.shape(config);
        MemoryPlan with = onGpu(config);
        MemoryPlan without =
                MemoryPlan.of(
                        config,
                        shape,
                        new MemoryPlan.Machine(false, new KernelMemory(false, false, true)));
        assertThat(without.weights()).isEqualTo(with.weights());
        assertThat(without.others()).isEqualTo(2 * with.others());
        assertThat(without.activations()).isGreaterThan(19 * with.activations() / 10);
    }

    /** 4.127 bits a weight: 0.5 byte, 1/64 byte of scale, 1/64/256 of 4 bytes. */
    @Test
    void weightsOf7B_takeWhatTheirBitsSay() {
        MemoryPlan plan = onGpu(paper("llama-7b"));
        long linears = 32L * (4 * 4096L * 4096 + 3 * 4096L * 11008);
        assertThat(plan.weights()).isEqualTo(linears / 2);
        assertThat(plan.scales()).isEqualTo(linears / 64 + linears / 64 / 256 * 4);
        assertThat(plan.others()).isEqualTo(2 * (2L * 32000 * 4096 + 65 * 4096));
        assertThat(plan.optimizer()).isZero();
    }

    /** Of 32 layers two are in memory, everything else as before. */
    @Test
    void streamedLayers_takeTwo() {
        RunConfig config = paper("llama-7b");
        MemoryPlan held = onGpu(config);
        MemoryPlan streamed =
                onGpu(config.toBuilder().model(model -> model.streamLayers(true)).build());
        assertThat(streamed.weights()).isEqualTo(held.weights() / 16);
        assertThat(streamed.scales()).isEqualTo(held.scales() / 16);
        assertThat(held.total() - streamed.total())
                .isEqualTo((held.weights() + held.scales()) / 16 * 15);
    }

    @Test
    void adviceOfLastResort_isToStream() {
        RunConfig config = paper("llama-65b");
        ModelShape shape = MemoryPlan.shape(config);
        MemoryAdvice advice =
                MemoryAdvice.of(config, shape, MemoryPlan.Machine.GPU, 24_000_000_000L);
        assertThat(advice.fits()).isTrue();
        assertThat(advice.settings()).containsExactly("model.stream_layers=true");
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama-30b", "huggyllama/llama-30b", "LLaMA-33B"})
    void namesOfTheSameShape_areKnown(String name) {
        assertThat(NamedShapes.named(name).orElseThrow().parameterCount())
                .isCloseTo(32_528_943_616L, Percentage.withPercentage(0.001));
    }
}
