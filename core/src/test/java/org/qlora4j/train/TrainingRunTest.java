package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeSet;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.error.ConfigException;
import org.qlora4j.run.RunCheckpoint;
import org.qlora4j.run.RunFolder;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.run.TrainResult;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.testing.Golden;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Short runs on the tiny model: what they compute and what they leave on disk. */
class TrainingRunTest {
    private static final JsonMapper JSON = new JsonMapper();

    @TempDir Path folder;
    private Path data;
    private Path out;

    @BeforeEach
    void layOut() {
        data = TinyRun.data(folder);
        out = folder.resolve("run");
    }

    @Test
    void run_lossFallsAndNothingNativeIsLeft() {
        long live = NativeMemory.liveBytes();
        long net = NativeMemory.freedBySafetyNet();
        TinyRun.Record run = TinyRun.run(TinyRun.config(out, data, "train.max_steps=20"));
        List<Double> losses = run.losses();
        assertThat(losses).hasSize(20);
        double first = losses.subList(0, 3).stream().mapToDouble(d -> d).average().orElseThrow();
        double last = losses.subList(17, 20).stream().mapToDouble(d -> d).average().orElseThrow();
        assertThat(last).isLessThan(0.8 * first);
        assertThat(NativeMemory.liveBytes()).isEqualTo(live);
        assertThat(NativeMemory.freedBySafetyNet()).isEqualTo(net);
    }

    @Test
    void runFolder_holdsSettingsMetricsAndCheckpoints() throws Exception {
        RunConfig config = TinyRun.config(out, data, "train.save_steps=4", "lora.lora_dropout=0.1");
        TinyRun.Record run = TinyRun.run(config);
        assertThat(TinyRun.names(out))
                .containsExactly("checkpoint-4", "checkpoint-6", "config.yaml", "metrics.jsonl");
        assertThat(run.saved)
                .containsExactly(out.resolve("checkpoint-4"), out.resolve("checkpoint-6"));
        assertThat(RunConfigReader.read(out.resolve("config.yaml"))).isEqualTo(config);

        List<String> lines = Files.readAllLines(out.resolve("metrics.jsonl"));
        assertThat(lines).hasSize(6);
        for (int i = 0; i < 6; i++) {
            JsonNode line = JSON.readTree(lines.get(i));
            StepMetrics step = run.steps.get(i);
            assertThat(line.get("step").asInt()).isEqualTo(i + 1);
            assertThat(line.get("loss").asDouble()).isEqualTo(step.loss());
            assertThat(line.get("grad_norm").asDouble()).isEqualTo(step.gradNorm());
            assertThat(line.get("label_tokens").asLong()).isEqualTo(step.labelTokens());
        }
        Path checkpoint = out.resolve("checkpoint-6");
        assertThat(TinyRun.names(checkpoint))
                .containsExactly(
                        "README.md",
                        "adapter_config.json",
                        "adapter_model.safetensors",
                        "chat_template.jinja",
                        "optimizer.safetensors",
                        "qlora4j.json",
                        "trainer_state.json");
        assertThat(checkpoint.resolve("README.md"))
                .content()
                .startsWith("---\nlibrary_name: peft\nbase_model: ")
                .contains("| steps | 6 |", "| adapter | LoRA, rank ", "| licence of the base |")
                .containsPattern("\\| data \\(SHA-256\\) \\| [0-9a-f]{64} \\|");
        Golden adapter = Golden.open(checkpoint.resolve("adapter_model.safetensors"));
        Golden optimizer = Golden.open(checkpoint.resolve("optimizer.safetensors"));
        assertThat(adapter.names()).hasSize(2 * 7 * 2); // A and B, seven layers, two blocks
        TreeSet<String> expected = new TreeSet<>();
        for (String name : adapter.names()) {
            String parameter = name.substring("base_model.model.".length());
            expected.add(parameter + ".exp_avg");
            expected.add(parameter + ".exp_avg_sq");
        }
        assertThat(new TreeSet<>(optimizer.names())).isEqualTo(expected);
    }

    @Test
    void checkpoint_isSealedWithChecksumsOfItsFiles() throws Exception {
        TinyRun.Record run = TinyRun.run(TinyRun.config(out, data));
        Path checkpoint = out.resolve("checkpoint-6");
        JsonNode seal = JSON.readTree(checkpoint.resolve("qlora4j.json"));
        assertThat(seal.get("format").asInt()).isEqualTo(1);
        assertThat(new TreeSet<>(seal.get("sha256").propertyNames()))
                .as("the card is for people to write in")
                .containsExactly(
                        "adapter_config.json",
                        "adapter_model.safetensors",
                        "chat_template.jinja",
                        "optimizer.safetensors",
                        "trainer_state.json");
        for (String name : seal.get("sha256").propertyNames()) {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            byte[] sum = digest.digest(Files.readAllBytes(checkpoint.resolve(name)));
            assertThat(seal.get("sha256").get(name).asString())
                    .as(name)
                    .isEqualTo(HexFormat.of().formatHex(sum));
        }
        JsonNode state = JSON.readTree(checkpoint.resolve("trainer_state.json"));
        assertThat(state.get("global_step").asInt()).isEqualTo(6);
        assertThat(state.get("max_steps").asInt()).isEqualTo(6);
        assertThat(state.get("epoch").asDouble()).isEqualTo(1.0); // 6 x 2 x 2 of 24 examples
        assertThat(state.get("log_history")).hasSize(6);
        assertThat(state.get("log_history").get(5).get("loss").asDouble())
                .isEqualTo(run.steps.get(5).loss());
        assertThat(state.get("num_input_tokens_seen").asLong())
                .isEqualTo(run.steps.stream().mapToLong(StepMetrics::tokens).sum());
    }

    @Test
    void accumulation_fourTimesOneIsOnceFour() {
        String order = "data.group_by_length=false";
        TinyRun.Record once =
                TinyRun.run(
                        TinyRun.config(
                                out,
                                data,
                                order,
                                "train.per_device_train_batch_size=4",
                                "train.gradient_accumulation_steps=1"));
        TinyRun.Record four =
                TinyRun.run(
                        TinyRun.config(
                                folder.resolve("four"),
                                data,
                                order,
                                "train.per_device_train_batch_size=1",
                                "train.gradient_accumulation_steps=4"));
        for (int i = 0; i < 6; i++) {
            StepMetrics a = once.steps.get(i);
            StepMetrics b = four.steps.get(i);
            assertThat(b.labelTokens()).isEqualTo(a.labelTokens());
            assertThat(b.tokens()).isEqualTo(a.tokens());
            assertThat(b.epoch()).isEqualTo(a.epoch());
            // later steps start from weights that differ in their last bits
            double percent = i == 0 ? 1e-4 : 1e-2;
            assertThat(b.loss()).isCloseTo(a.loss(), Percentage.withPercentage(percent));
            assertThat(b.gradNorm()).isCloseTo(a.gradNorm(), Percentage.withPercentage(percent));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"float32", "bfloat16"})
    void gradientCheckpointing_changesNothing(String dtype) throws Exception {
        String[] common = {"quantization.bnb_4bit_compute_dtype=" + dtype, "lora.lora_dropout=0.1"};
        Path other = folder.resolve("kept");
        TinyRun.Record again =
                TinyRun.run(
                        TinyRun.config(
                                out, data, with(common, "train.gradient_checkpointing=true")));
        TinyRun.Record kept =
                TinyRun.run(
                        TinyRun.config(
                                other, data, with(common, "train.gradient_checkpointing=false")));
        assertThat(again.losses()).isEqualTo(kept.losses());
        assertThat(Files.readAllBytes(out.resolve("checkpoint-6/adapter_model.safetensors")))
                .isEqualTo(
                        Files.readAllBytes(
                                other.resolve("checkpoint-6/adapter_model.safetensors")));
    }

    @Test
    void dropout_changesTheLoss() {
        TinyRun.Record without = TinyRun.run(TinyRun.config(out, data));
        TinyRun.Record with =
                TinyRun.run(TinyRun.config(folder.resolve("with"), data, "lora.lora_dropout=0.5"));
        assertThat(with.losses()).isNotEqualTo(without.losses());
    }

    @Test
    void saveTotalLimit_keepsTheNewest() {
        TinyRun.run(TinyRun.config(out, data, "train.save_steps=1", "train.save_total_limit=2"));
        assertThat(TinyRun.names(out))
                .containsExactly("checkpoint-5", "checkpoint-6", "config.yaml", "metrics.jsonl");
    }

    /** 24 examples in batches of 5 are 5 batches, so 3 steps of 2 batches, the last with one. */
    @Test
    void epochs_countTheShortLastStep() {
        TinyRun.Record run =
                TinyRun.run(
                        TinyRun.config(
                                out,
                                data,
                                "train.max_steps=null",
                                "train.num_train_epochs=1.5",
                                "train.per_device_train_batch_size=5"));
        assertThat(run.steps).hasSize(5); // 1.5 x 3, rounded up
        assertThat(run.steps)
                .extracting(StepMetrics::epoch)
                .containsExactly(0.4, 0.8, 1.0, 1.4, 1.8);
        assertThat(run.steps.get(2).labelTokens()).isLessThan(run.steps.get(1).labelTokens());
        TinyRun.Record epoch =
                TinyRun.run(
                        TinyRun.config(
                                folder.resolve("one"),
                                data,
                                "train.max_steps=null",
                                "train.num_train_epochs=1"));
        assertThat(epoch.steps).hasSize(6);
        assertThat(run.steps.subList(0, 3).stream().mapToLong(StepMetrics::tokens).sum())
                .as("an epoch sees every token once, whatever the batches")
                .isEqualTo(epoch.steps.stream().mapToLong(StepMetrics::tokens).sum());
    }

    @Test
    void warmup_firstStepChangesNothing() {
        TinyRun.Record run =
                TinyRun.run(
                        TinyRun.config(
                                out,
                                data,
                                "train.lr_scheduler_type=linear",
                                "train.warmup_steps=2",
                                "train.max_steps=4"));
        assertThat(run.steps)
                .extracting(StepMetrics::learningRate)
                .containsExactly(0.0, 0.005, 0.01, 0.005);
    }

    @Test
    void cancelledInsideAWindow_savesTheLastFinishedStep() throws Exception {
        Path other = folder.resolve("cancelled");
        RunConfig wide =
                TinyRun.config(
                        other,
                        data,
                        "train.per_device_train_batch_size=1",
                        "train.gradient_accumulation_steps=24",
                        "train.max_steps=100000");
        TrainingRun[] run = new TrainingRun[1];
        Thread[] canceller = new Thread[1];
        TinyRun.Record record =
                new TinyRun.Record() {
                    @Override
                    public void stepDone(StepMetrics metrics) {
                        super.stepDone(metrics);
                        if (metrics.step() == 2) {
                            long window = (long) (metrics.seconds() * 1e9);
                            canceller[0] =
                                    new Thread(() -> {
                                        java.util.concurrent.locks.LockSupport.parkNanos(
                                                window / 2);
                                        run[0].cancel();
                                    });
                            canceller[0].start();
                        }
                    }
                };
        run[0] = new TrainingRun(wide, false, record);
        TrainResult result = run[0].run();
        canceller[0].join();
        assertThat(result.cancelled()).isTrue();
        assertThat(result.steps()).isEqualTo(record.steps.size());
        assertThat(result.adapter()).isEqualTo(other.resolve("checkpoint-" + result.steps()));
        assertThat(RunCheckpoint.ifWhole(other.resolve("checkpoint-" + result.steps())))
                .isPresent();
        Path never = folder.resolve("never");
        TinyRun.run(
                TinyRun.config(
                        never,
                        data,
                        "train.per_device_train_batch_size=1",
                        "train.gradient_accumulation_steps=24",
                        "train.max_steps=" + result.steps()));
        String adapter = "checkpoint-" + result.steps() + "/adapter_model.safetensors";
        assertThat(Files.readAllBytes(other.resolve(adapter)))
                .as("nothing of the window that was given up is in the weights")
                .isEqualTo(Files.readAllBytes(never.resolve(adapter)));
    }

    @Test
    void cancelledBeforeTheFirstStep_leavesARunThatCanGoOn() {
        RunConfig config = TinyRun.config(out, data);
        TrainingRun run = new TrainingRun(config, false, RunListener.NONE);
        run.cancel();
        TrainResult result = run.run();
        assertThat(result.cancelled()).isTrue();
        assertThat(result.adapter()).isNull();
        assertThat(TinyRun.resume(config).steps).hasSize(6);
    }

    @Test
    void targetsThatMatchNothing_leaveNoFolder() {
        RunConfig config = TinyRun.config(out, data, "lora.target_modules=[query]");
        assertThatThrownBy(() -> new TrainingRun(config, false, RunListener.NONE).run())
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("lora.target_modules [query] chooses no layer");
        assertThat(out).doesNotExist();
    }

    @Test
    void lossThatIsNotFinite_stopsAndNamesTheLastGoodCheckpoint() {
        RunConfig config =
                TinyRun.config(out, data, "train.learning_rate=1e30", "train.save_steps=1");
        assertThatThrownBy(() -> new TrainingRun(config, false, RunListener.NONE).run())
                .isInstanceOf(ConfigException.class)
                .hasMessageMatching(
                        "step \\d+: loss \\S+ with gradient norm \\S+; lower train.learning_rate.* the last good"
                                + " checkpoint is .*checkpoint-\\d+");
        assertThat(new RunFolder(out).newestWhole()).isPresent();
    }

    /** A rate at which a weight itself leaves the range of f32: no checkpoint may hold that. */
    @Test
    void weightThatIsNotFinite_isNotSaved() {
        RunConfig config =
                TinyRun.config(
                        out,
                        data,
                        "train.learning_rate=1e39",
                        "train.save_steps=1",
                        "train.max_steps=1");
        assertThatThrownBy(() -> new TrainingRun(config, false, RunListener.NONE).run())
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("lower train.learning_rate")
                .hasMessageEndingWith("no checkpoint was saved before");
        assertThat(new RunFolder(out).newestWhole()).isEmpty();
    }

    private static String[] with(String[] settings, String more) {
        String[] all = java.util.Arrays.copyOf(settings, settings.length + 1);
        all[settings.length] = more;
        return all;
    }
}
