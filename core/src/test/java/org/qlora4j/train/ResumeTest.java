package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.StoredTensor;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.config.RunConfigWriter;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.run.RunCheckpoint;
import org.qlora4j.run.RunFolder;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.run.TrainResult;
import org.qlora4j.testing.SmallLlama;
import org.qlora4j.testing.TinyLlama;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** A run that is stopped or damaged, and goes on. */
class ResumeTest {
    private static final JsonMapper JSON = new JsonMapper();
    private static final List<String> CHECKPOINT_FILES =
            List.of(
                    "adapter_config.json",
                    "adapter_model.safetensors",
                    "optimizer.safetensors",
                    "qlora4j.json",
                    "trainer_state.json");

    @TempDir static Path shared;
    private static Path data;

    /** A run of four steps with a checkpoint after each, to be copied. */
    private static Path finished;

    @TempDir Path folder;

    @BeforeAll
    static void runOnce() {
        data = TinyRun.data(shared);
        finished = shared.resolve("run");
        TinyRun.run(TinyRun.config(finished, data, "train.save_steps=1", "train.max_steps=4"));
    }

    @ParameterizedTest(name = "{0}, stopped after {1}, {2}, {3}")
    @CsvSource({
        "float32, 1, paged_adamw_32bit, lora.use_dora=false",
        "float32, 4, adamw_torch, lora.use_dora=true",
        "bfloat16, 3, paged_adamw_32bit, lora.modules_to_save=embed_tokens",
        "float32, 5, paged_adamw_8bit, lora.r=80", // large enough for 8 bits
        "bfloat16, 2, adamw_8bit, lora.use_dora=true",
        "bfloat16, 3, adamw_torch, data.packing=true",
        "float32, 3, paged_adamw_32bit, lora.init_lora_weights=pissa",
        "bfloat16, 2, adamw_torch, lora.init_lora_weights=pissa_niter_4",
        "bfloat16, 3, adamw_torch, model.new_tokens=xy"
    })
    void stoppedAndResumed_givesTheBytesOfTheRunNeverStopped(
            String dtype, int stop, String optim, String adapter) throws Exception {
        String[] settings = {
            "quantization.bnb_4bit_compute_dtype=" + dtype,
            "train.optim=" + optim,
            adapter,
            "train.weight_decay=0.01",
            "train.lr_scheduler_type=cosine",
            "train.warmup_steps=2",
            "train.max_steps=9", // into the second epoch
            "lora.lora_dropout=0.1",
            "data.group_by_length=true",
            "data.source_max_len=64", // rows of 100 tokens, if packed
            "data.target_max_len=36"
        };
        Path whole = folder.resolve("whole");
        Path halves = folder.resolve("halves");
        TinyRun.Record never = TinyRun.run(TinyRun.config(whole, data, settings));
        TinyRun.Record first =
                TinyRun.runAndStopAfter(TinyRun.config(halves, data, settings), stop);
        TinyRun.Record second = TinyRun.resume(TinyRun.config(halves, data, settings));

        assertThat(first.steps).hasSize(stop);
        List<Double> losses = new ArrayList<>(first.losses());
        losses.addAll(second.losses());
        assertThat(losses).isEqualTo(never.losses());
        for (String file :
                List.of(
                        "adapter_model.safetensors",
                        "optimizer.safetensors",
                        "trainer_state.json")) {
            assertThat(Files.readAllBytes(halves.resolve("checkpoint-9").resolve(file)))
                    .as(file)
                    .isEqualTo(Files.readAllBytes(whole.resolve("checkpoint-9").resolve(file)));
        }
        assertThat(withoutSpeed(halves)).isEqualTo(withoutSpeed(whole));
    }

    @Test
    void moreSteps_goOnFromTheEnd() {
        Path run = TinyRun.copy(finished, folder.resolve("run"));
        TinyRun.Record more = TinyRun.resume(config(run, "train.max_steps=6"));
        assertThat(more.steps).extracting(StepMetrics::step).containsExactly(5L, 6L);
        assertThat(run.resolve("checkpoint-6")).isDirectory();
        assertThat(RunConfigReader.read(run.resolve("config.yaml")).train().maxSteps())
                .isEqualTo(6);
    }

    @Test
    void otherBaseModel_isRefused() throws Exception {
        Path model = Files.createDirectory(folder.resolve("model"));
        TinyLlama.copyTo(model);
        Path run = folder.resolve("run");
        RunConfig config = TinyRun.config(model, run, data, "train.max_steps=2");
        TinyRun.run(config);
        Path weights = model.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(weights);
        bytes[bytes.length - 2] ^= 1; // a low bit of the last weight
        Files.write(weights, bytes);
        assertThatThrownBy(() -> TinyRun.resume(config))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(
                        model
                                + ": the base model has changed since "
                                + run.resolve("checkpoint-2")
                                + " was saved");
    }

    /** The folder may have another name and another division into files. */
    @Test
    void movedBaseModel_isResumed() throws Exception {
        Path model = Files.createDirectory(folder.resolve("model"));
        TinyLlama.copyTo(model);
        Path run = folder.resolve("run");
        TinyRun.run(TinyRun.config(model, run, data, "train.max_steps=2"));
        Path moved = Files.move(model, folder.resolve("moved"));
        Files.move(
                moved.resolve("model.safetensors"),
                moved.resolve("model-00001-of-00001.safetensors"));
        StringJoiner index = new StringJoiner(", ", "{\"weight_map\": {", "}}");
        try (Checkpoint checkpoint =
                Checkpoint.open(moved.resolve("model-00001-of-00001.safetensors"))) {
            checkpoint
                    .names()
                    .forEach(name ->
                            index.add(
                                    "\"%s\": \"model-00001-of-00001.safetensors\""
                                            .formatted(name)));
        }
        Files.writeString(moved.resolve("model.safetensors.index.json"), index.toString());
        TinyRun.Record more = TinyRun.resume(TinyRun.config(moved, run, data, "train.max_steps=3"));
        assertThat(more.steps).extracting(StepMetrics::step).containsExactly(3L);
    }

    /** A merged adapter changes layers in the middle of a file, and neither names nor sizes. */
    @Test
    void baseModelWithAMergedLayer_isRefused() throws Exception {
        Path model = SmallLlama.write(Files.createDirectory(folder.resolve("model")));
        Path run = folder.resolve("run");
        RunConfig config = TinyRun.config(model, run, data, "train.max_steps=1");
        TinyRun.run(config);
        Path weights = model.resolve("model.safetensors");
        Path merged = folder.resolve("merged.safetensors");
        SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
        try (Checkpoint checkpoint = Checkpoint.open(model);
                Arena arena = Arena.ofConfined()) {
            for (String name : checkpoint.names()) {
                StoredTensor t = checkpoint.read(name, arena);
                byte[] bytes = t.data().toArray(ValueLayout.JAVA_BYTE);
                if (name.equals("model.layers.0.mlp.up_proj.weight")) {
                    for (int i = 0; i < bytes.length; i += 4) {
                        bytes[i] ^= 1; // the lowest bit of each
                    }
                }
                writer.add(name, t.type(), t.shape(), MemorySegment.ofArray(bytes));
            }
            writer.write(merged);
        }
        Files.move(merged, weights, StandardCopyOption.REPLACE_EXISTING);
        assertThatThrownBy(() -> TinyRun.resume(config))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("the base model has changed since");
    }

    @Test
    void finishedRun_hasNothingLeftToDo() throws Exception {
        Path run = TinyRun.copy(finished, folder.resolve("run"));
        TrainResult result = new TrainingRun(config(run), true, RunListener.NONE).run();
        assertThat(result.steps()).isEqualTo(4);
        assertThat(result.cancelled()).isFalse();
        assertThat(result.adapter()).isEqualTo(run.resolve("checkpoint-4"));
        assertThat(withoutSpeed(run)).isEqualTo(withoutSpeed(finished));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "lora.r=8 | began with lora.r 4, now it is 8;",
                "lora.lora_dropout=0.5 | began with lora.lora_dropout 0.0, now it is 0.5;",
                "lora.target_modules=[q_proj] | began with lora.target_modules \"all-linear\", now it is [\"q_proj\"];",
                "train.seed=7 | began with train.seed 42, now it is 7;",
                "train.per_device_train_batch_size=1 | per_device_train_batch_size",
                "data.train_on_source=true | train_on_source",
                "quantization.bnb_4bit_quant_type=fp4 | bnb_4bit_quant_type"
            })
    void otherSettings_areRefusedInOneLine(String setting, String part) {
        Path run = TinyRun.copy(finished, folder.resolve("run"));
        assertRefused(run, config(run, setting), part);
    }

    @Test
    void otherData_isRefusedInOneLine() throws Exception {
        Path run = folder.resolve("run");
        Path own = Files.copy(data, folder.resolve("own.jsonl"));
        TinyRun.run(TinyRun.config(run, own, "train.max_steps=2"));
        Files.writeString(
                own, "{\"input\": \"a\", \"output\": \"b\"}\n", StandardOpenOption.APPEND);
        assertRefused(
                run,
                TinyRun.config(run, own, "train.max_steps=3"),
                own + ": the data has changed since " + run.resolve("checkpoint-2") + " was saved");
    }

    @Test
    void noRun_isRefused() {
        assertThatThrownBy(() -> TinyRun.resume(config(folder.resolve("nothing"))))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("holds no run to resume");
        assertThat(folder.resolve("nothing")).doesNotExist();
    }

    private static void assertRefused(Path run, RunConfig config, String part) {
        List<String> before = TinyRun.names(run);
        assertThatThrownBy(() -> new TrainingRun(config, true, RunListener.NONE).run())
                .isInstanceOf(ConfigException.class)
                .message()
                .contains(part)
                .doesNotContain("\n");
        assertThat(TinyRun.names(run)).isEqualTo(before);
    }

    static Stream<Arguments> damages() {
        return CHECKPOINT_FILES.stream()
                .flatMap(file ->
                        Stream.of(
                                        "truncated",
                                        "emptied",
                                        "flipped at the start",
                                        "flipped in the middle",
                                        "flipped at the end",
                                        "missing")
                                .map(damage -> Arguments.of(file, damage)));
    }

    @ParameterizedTest(name = "{0} {1}")
    @MethodSource("damages")
    void newestDamaged_isPassedOverWithAWarning(String file, String damage) throws Exception {
        Path run = TinyRun.copy(finished, folder.resolve("run"));
        damage(run.resolve("checkpoint-4").resolve(file), damage);
        List<String> warnings = new ArrayList<>();
        try (Warnings log = new Warnings(warnings)) {
            assertThat(new RunFolder(run).newestWhole())
                    .hasValueSatisfying(c -> {
                        assertThat(c.folder()).isEqualTo(run.resolve("checkpoint-3"));
                        assertThat(c.state().step()).isEqualTo(3);
                    });
        }
        assertThat(warnings)
                .containsExactly(run.resolve("checkpoint-4") + " is not whole and is passed over");
    }

    @Test
    void newestDamaged_theOneBeforeGivesTheSameBytes() throws Exception {
        Path run = TinyRun.copy(finished, folder.resolve("run"));
        damage(run.resolve("checkpoint-4/optimizer.safetensors"), "flipped in the middle");
        damage(run.resolve("checkpoint-3/adapter_model.safetensors"), "truncated");
        TinyRun.Record again = TinyRun.resume(config(run));
        assertThat(again.steps).extracting(StepMetrics::step).containsExactly(3L, 4L);
        assertThat(Files.readAllBytes(run.resolve("checkpoint-4/adapter_model.safetensors")))
                .isEqualTo(
                        Files.readAllBytes(
                                finished.resolve("checkpoint-4/adapter_model.safetensors")));
        assertThat(RunCheckpoint.ifWhole(run.resolve("checkpoint-4"))).isPresent();
        assertThat(withoutSpeed(run)).isEqualTo(withoutSpeed(finished));
    }

    @Test
    void allDamaged_isOneLine() throws Exception {
        Path run = TinyRun.copy(finished, folder.resolve("run"));
        for (int step = 1; step <= 4; step++) {
            Files.delete(run.resolve("checkpoint-" + step + "/qlora4j.json"));
        }
        assertRefused(run, config(run), "holds no whole checkpoint");
    }

    @Test
    void killedBeforeTheFirstCheckpoint_beginsAgain() throws Exception {
        Path run = Files.createDirectory(folder.resolve("run"));
        RunConfigWriter.write(config(run), run.resolve("config.yaml"));
        Files.writeString(run.resolve("metrics.jsonl"), "{\"step\": 1, \"loss\": 2.5}\n");
        TinyRun.Record again = TinyRun.resume(config(run));
        assertThat(again.steps).hasSize(4);
        assertThat(again.notices).anyMatch(line -> line.contains("no checkpoint"));
        assertThat(withoutSpeed(run)).isEqualTo(withoutSpeed(finished));
    }

    @Test
    void killedBeforeTheFirstCheckpoint_otherSettingsAreRefused() throws Exception {
        Path run = Files.createDirectory(folder.resolve("run"));
        RunConfigWriter.write(config(run), run.resolve("config.yaml"));
        assertRefused(run, config(run, "lora.r=8"), "began with lora.r 4, now it is 8;");
    }

    @Test
    void laterMetrics_areDropped() throws Exception {
        Path run = TinyRun.copy(finished, folder.resolve("run"));
        Files.delete(run.resolve("checkpoint-4/qlora4j.json"));
        Files.writeString(
                run.resolve("metrics.jsonl"), "{\"step\": 5, \"lo", StandardOpenOption.APPEND);
        TinyRun.Record again = TinyRun.resume(config(run, "train.max_steps=5"));
        assertThat(again.steps).hasSize(2);
        List<String> lines = Files.readAllLines(run.resolve("metrics.jsonl"));
        assertThat(lines).hasSize(5);
        for (int i = 0; i < 5; i++) {
            assertThat(JSON.readTree(lines.get(i)).get("step").asInt()).isEqualTo(i + 1);
        }
    }

    /**
     * With the damaged checkpoint counted among the newest, the limit would delete the good one.
     */
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void limitBesideADamagedCheckpoint_keepsTheWholeOnes(int limit) throws Exception {
        Path run = TinyRun.copy(finished, folder.resolve("run"));
        Files.delete(run.resolve("checkpoint-4/qlora4j.json"));
        Files.delete(run.resolve("checkpoint-3/qlora4j.json"));
        List<Integer> wholeAfterEachSave = new ArrayList<>();
        RunListener listener =
                new RunListener() {
                    @Override
                    public void checkpointSaved(Path saved) {
                        int whole = 0;
                        for (String name : TinyRun.names(run)) {
                            whole +=
                                    name.startsWith("checkpoint-")
                                                    && RunCheckpoint.ifWhole(run.resolve(name))
                                                            .isPresent()
                                            ? 1
                                            : 0;
                        }
                        assertThat(RunCheckpoint.ifWhole(saved)).isPresent();
                        wholeAfterEachSave.add(whole);
                    }
                };
        new TrainingRun(config(run, "train.save_total_limit=" + limit), true, listener).run();
        assertThat(wholeAfterEachSave).containsExactly(limit, limit);
    }

    @Test
    void leftoversOfKilledProcesses_areCleaned() throws Exception {
        Path run = TinyRun.copy(finished, folder.resolve("run"));
        long dead = deadProcess();
        Path half = Files.createDirectory(run.resolve(".checkpoint-77.tmp-" + dead));
        Files.writeString(half.resolve("adapter_model.safetensors.tmp"), "half");
        Files.writeString(run.resolve(".paged-" + dead + "-123"), "state");
        Files.writeString(run.resolve("config.yaml.tmp"), "vers");
        // killed between the two renames that replace a checkpoint
        Files.move(run.resolve("checkpoint-4"), run.resolve(".checkpoint-4.old-" + dead));
        TinyRun.Record again = TinyRun.resume(config(run));
        assertThat(again.steps).as("checkpoint-4 was put back").isEmpty();
        assertThat(TinyRun.names(run)).isEqualTo(TinyRun.names(finished));
    }

    @Test
    void newerFormat_isOneLine() throws Exception {
        Path run = TinyRun.copy(finished, folder.resolve("run"));
        Path seal = run.resolve("checkpoint-4/qlora4j.json");
        var json = (ObjectNode) JSON.readTree(seal);
        json.remove("checksum");
        json.put("format", 2);
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        byte[] sum = digest.digest(json.toString().getBytes(StandardCharsets.UTF_8));
        json.put("checksum", HexFormat.of().formatHex(sum));
        Files.writeString(seal, JSON.writeValueAsString(json));
        assertThatThrownBy(() -> TinyRun.resume(config(run)))
                .isInstanceOf(FormatException.class)
                .hasMessage(
                        "%s has format 2, this version reads up to 1; use the newer qlora4j that wrote it",
                        seal);
    }

    private static RunConfig config(Path run, String... settings) {
        List<String> all = new ArrayList<>(List.of("train.save_steps=1", "train.max_steps=4"));
        all.addAll(List.of(settings));
        return TinyRun.config(run, data, all.toArray(String[]::new));
    }

    /** The lines of metrics.jsonl, without what differs from run to run. */
    private static List<JsonNode> withoutSpeed(Path run) throws IOException {
        List<JsonNode> lines = new ArrayList<>();
        for (String line : Files.readAllLines(run.resolve("metrics.jsonl"))) {
            var json = (ObjectNode) JSON.readTree(line);
            json.remove("tokens_per_second");
            lines.add(json);
        }
        return lines;
    }

    private static void damage(Path file, String damage) throws IOException {
        byte[] bytes = Files.readAllBytes(file);
        switch (damage) {
            case "truncated" -> Files.write(file, java.util.Arrays.copyOf(bytes, bytes.length / 2));
            case "emptied" -> Files.write(file, new byte[0]);
            case "missing" -> Files.delete(file);
            default -> {
                int at =
                        damage.endsWith("start")
                                ? 0
                                : damage.endsWith("middle") ? bytes.length / 2 : bytes.length - 3;
                bytes[at] ^= 0x01;
                Files.write(file, bytes);
            }
        }
    }

    private static long deadProcess() throws Exception {
        Process process =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "-version")
                        .redirectErrorStream(true)
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .start();
        process.waitFor();
        return process.pid();
    }

    /** Collects what the run folder warns of. */
    private static final class Warnings extends Handler implements AutoCloseable {
        private final Logger logger = Logger.getLogger(RunFolder.class.getName());
        private final List<String> lines;

        Warnings(List<String> lines) {
            this.lines = lines;
            logger.addHandler(this);
            logger.setUseParentHandlers(false);
        }

        @Override
        public void publish(LogRecord record) {
            lines.add(new java.util.logging.SimpleFormatter().formatMessage(record));
        }

        @Override
        public void flush() {}

        @Override
        public void close() {
            logger.removeHandler(this);
            logger.setUseParentHandlers(true);
        }
    }
}
