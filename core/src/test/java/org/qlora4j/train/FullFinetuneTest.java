package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.LanguageModel;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.SafetensorsFile;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.StoredTensor;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.SampleAnswer;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.testing.TinyLlama;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Runs in which all weights of the model learn. */
class FullFinetuneTest {
    private static final String[] FULL = {
        "train.full_finetune=true", "quantization.load_in_4bit=false"
    };

    @TempDir Path folder;

    /** Losses, norms and the weights at the end against torch, {@code make_full_run.py}. */
    @ParameterizedTest
    @ValueSource(strings = {"untied", "tied"})
    void tenSteps_areThoseOfTransformersAndTorch(String kind) throws Exception {
        JsonNode peer = reference();
        Path model = TinyLlama.copyTo(Files.createDirectory(folder.resolve("model")));
        setTied(model, kind.equals("tied"));
        StringBuilder lines = new StringBuilder();
        peer.get("records").forEach(record -> lines.append(record).append('\n'));
        Path data = Files.writeString(folder.resolve("data.jsonl"), lines);
        long memory = NativeMemory.liveBytes();
        Path out = folder.resolve("run");
        TinyRun.Record run =
                TinyRun.run(
                        TinyRun.config(
                                model,
                                out,
                                data,
                                with(
                                        "train.max_steps=10",
                                        "train.per_device_train_batch_size=6",
                                        "train.gradient_accumulation_steps=1",
                                        "train.learning_rate=" + peer.get("learning_rate"),
                                        "train.weight_decay=" + peer.get("weight_decay"),
                                        "train.max_grad_norm=" + peer.get("max_grad_norm"))));
        JsonNode expected = peer.get("runs").get(kind);
        assertThat(run.steps).hasSize(10);
        for (int i = 0; i < 10; i++) {
            StepMetrics step = run.steps.get(i);
            assertThat(step.loss())
                    .as("loss of step %d", i + 1)
                    .isCloseTo(expected.get("losses").get(i).asDouble(), offset(1e-4));
            double norm = expected.get("norms").get(i).asDouble();
            assertThat(step.gradNorm())
                    .as("norm of step %d", i + 1)
                    .isCloseTo(norm, offset(1e-3 * norm));
        }
        assertSquares(out.resolve("checkpoint-10"), expected.get("squares"));
        assertThat(NativeMemory.liveBytes()).isEqualTo(memory);
    }

    private static void assertSquares(Path checkpoint, JsonNode squares) {
        try (SafetensorsFile file =
                SafetensorsFile.open(checkpoint.resolve(Checkpoint.MODEL_FILE))) {
            assertThat(file.names()).containsExactlyInAnyOrderElementsOf(squares.propertyNames());
            for (String name : file.names()) {
                double sum = 0;
                var data = file.tensor(name).data();
                for (long at = 0; at < data.byteSize(); at += Float.BYTES) {
                    double w = data.get(java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED, at);
                    sum += w * w;
                }
                double expected = squares.get(name).asDouble();
                assertThat(sum).as(name).isCloseTo(expected, offset(1e-4 * expected));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"float32", "bfloat16"})
    void stoppedAndResumed_givesTheBytesOfTheRunNeverStopped(String dtype) throws Exception {
        Path data = TinyRun.data(folder);
        String[] settings =
                with(
                        "quantization.bnb_4bit_compute_dtype=" + dtype,
                        "train.weight_decay=0.01",
                        "train.lr_scheduler_type=cosine",
                        "train.learning_rate=1e-3");
        Path whole = folder.resolve("whole");
        Path halves = folder.resolve("halves");
        TinyRun.Record never = TinyRun.run(TinyRun.config(whole, data, settings));
        List<Double> losses =
                new ArrayList<>(
                        TinyRun.runAndStopAfter(TinyRun.config(halves, data, settings), 2)
                                .losses());
        losses.addAll(TinyRun.resume(TinyRun.config(halves, data, settings)).losses());
        assertThat(losses).isEqualTo(never.losses());
        for (String file : List.of("model.safetensors", "optimizer.safetensors")) {
            assertThat(halves.resolve("checkpoint-6").resolve(file))
                    .hasSameBinaryContentAs(whole.resolve("checkpoint-6").resolve(file));
        }
    }

    @Test
    void checkpoint_isAModelThatAnswersAsTheRunDid() {
        Path out = folder.resolve("run");
        List<String> answers = new ArrayList<>();
        RunConfig config =
                TinyRun.config(
                        out,
                        TinyRun.data(folder),
                        with(
                                "train.sample_prompt=[in the on]",
                                "train.sample_max_new_tokens=12",
                                "train.max_steps=3"));
        new TrainingRun(
                        config,
                        false,
                        new RunListener() {
                            @Override
                            public void sampleAnswered(SampleAnswer answer) {
                                answers.add(answer.base());
                                answers.add(answer.finetuned());
                            }
                        })
                .run();
        Path checkpoint = out.resolve("checkpoint-3");
        assertThat(TinyRun.names(checkpoint))
                .containsExactly(
                        "chat_template.jinja",
                        "config.json",
                        "generation_config.json",
                        "model.safetensors",
                        "optimizer.safetensors",
                        "qlora4j.json",
                        "tokenizer.json",
                        "tokenizer_config.json",
                        "trainer_state.json");
        // asked as the prompts of the data stand there, which the checkpoint does by itself
        assertThat(answer(TinyLlama.folder(), true)).isEqualTo(answers.get(0));
        assertThat(answer(checkpoint, false))
                .isEqualTo(answers.get(1))
                .isNotEqualTo(answers.get(0));
    }

    private static String answer(Path model, boolean raw) {
        QuantConfig plain =
                new QuantConfig(false, QuantConfig.DEFAULT.type(), false, 64, ComputeDtype.FLOAT32);
        try (LanguageModel loaded = LanguageModel.load(model, plain)) {
            List<java.util.Map<String, String>> chat =
                    List.of(java.util.Map.of("role", "user", "content", "in the on"));
            GenerationConfig config = GenerationConfig.DEFAULT.withMaxNewTokens(12);
            return (raw
                            ? loaded.generate("in the on", config, text -> {})
                            : loaded.generate(chat, config, text -> {}))
                    .text()
                    .strip();
        }
    }

    @Test
    void randomInit_needsNoWeightsAndIsAFunctionOfTheSeed() throws Exception {
        Path model = Files.createDirectory(folder.resolve("shape"));
        TinyLlama.copyTo(model, "model.safetensors");
        Path data = TinyRun.data(folder);
        List<List<Double>> losses = new ArrayList<>();
        for (String seed : List.of("1", "1", "2")) {
            Path out = folder.resolve("run" + losses.size());
            losses.add(
                    TinyRun.run(
                                    TinyRun.config(
                                            model,
                                            out,
                                            data,
                                            with("model.init=random", "train.seed=" + seed)))
                            .losses());
        }
        assertThat(losses.get(0)).isEqualTo(losses.get(1)).isNotEqualTo(losses.get(2));
        assertThat(losses.get(0).getLast()).isLessThan(losses.get(0).getFirst());
        Path resumed = folder.resolve("resumed");
        TinyRun.runAndStopAfter(
                TinyRun.config(model, resumed, data, with("model.init=random", "train.seed=1")), 3);
        assertThat(
                        TinyRun.resume(
                                        TinyRun.config(
                                                model,
                                                resumed,
                                                data,
                                                with("model.init=random", "train.seed=1")))
                                .losses())
                .isEqualTo(losses.get(0).subList(3, 6));
    }

    @Test
    void weightsIn4Bits_areRefusedInOneLine() {
        assertThatThrownBy(() ->
                        TinyRun.config(folder.resolve("run"), folder, "train.full_finetune=true"))
                .isInstanceOf(ConfigException.class)
                .hasMessageStartingWith(
                        "train.full_finetune=true: train.full_finetune must be false")
                .hasMessageNotContaining("\n");
        assertThatThrownBy(() -> TinyRun.config(folder.resolve("run"), folder, "model.init=random"))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("model.init must not be random");
    }

    private static String[] with(String... settings) {
        List<String> all = new ArrayList<>(List.of(FULL));
        all.addAll(List.of(settings));
        return all.toArray(String[]::new);
    }

    private static void setTied(Path model, boolean tied) throws IOException {
        Path config = model.resolve("config.json");
        String text = Files.readString(config);
        Files.writeString(
                config,
                text.replace("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": " + tied));
        if (tied) { // beside a head of its own the flag would not count
            Path weights = model.resolve("model.safetensors");
            Path without = model.resolve("without-head.safetensors");
            SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
            try (SafetensorsFile file = SafetensorsFile.open(weights)) {
                for (String name : file.names()) {
                    StoredTensor tensor = file.tensor(name);
                    if (!name.equals("lm_head.weight")) {
                        writer.add(name, tensor.type(), tensor.shape(), tensor.data());
                    }
                }
                writer.write(without);
            }
            Files.move(without, weights, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    private static JsonNode reference() throws IOException {
        try (InputStream in =
                Objects.requireNonNull(
                        FullFinetuneTest.class.getResourceAsStream("full-run.json"))) {
            return new JsonMapper().readTree(in);
        }
    }
}
