package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.config.Overrides;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.run.RunCheckpoint;
import org.qlora4j.testing.ChildJvm;
import org.qlora4j.testing.TinyLlama;

/**
 * Processes that save every step and are killed without warning, again and again, as often as
 * {@code -Dqlora.kills} says. Each optimizer has its own run, all at once: most of the time is a
 * JVM that starts.
 */
public class KillTest {
    private static final int KILLS = Integer.getInteger("qlora.kills", 6);
    private static final List<String> OPTIMIZERS =
            List.of("adamw_torch", "paged_adamw_32bit", "paged_adamw_8bit");
    private static final List<String> FILES =
            List.of("adapter_model.safetensors", "optimizer.safetensors", "trainer_state.json");

    @TempDir Path folder;

    /** Another one each time; the name of the case tells which. */
    static long[] seeds() {
        return new long[] {System.nanoTime()};
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    @Timeout(600)
    void killedAtAnyMoment_goesOnFromTheNewestWholeCheckpoint(long seed) throws Exception {
        Path data = TinyRun.data(folder);
        List<Future<Killed>> runs = new ArrayList<>();
        try (ExecutorService executor = Executors.newFixedThreadPool(OPTIMIZERS.size())) {
            for (int i = 0; i < OPTIMIZERS.size(); i++) {
                String optimizer = OPTIMIZERS.get(i);
                int kills = (KILLS + i) / OPTIMIZERS.size();
                Random random = new Random(seed + i);
                runs.add(executor.submit(() -> killed(optimizer, data, kills, random)));
            }
        }
        int kills = 0;
        int savesHit = 0;
        for (Future<Killed> run : runs) {
            assertEndsAsNeverKilled(run.get(), data);
            kills += run.get().kills;
            savesHit += run.get().savesHit;
        }
        assertThat(kills).isEqualTo(KILLS);
        assertThat(savesHit).as("kills that left a half-written checkpoint").isPositive();
    }

    /**
     * A run that was killed.
     *
     * @param steps of its newest checkpoint
     * @param savesHit kills that left a half-written checkpoint
     */
    private record Killed(String optimizer, Path run, int kills, long steps, int savesHit) {}

    private Killed killed(String optimizer, Path data, int kills, Random random) throws Exception {
        Path run = folder.resolve(optimizer);
        List<String> settings = new ArrayList<>(settings(optimizer, run, data));
        settings.add("train.save_steps=1");
        settings.add("train.save_total_limit=2"); // so that a kill may also meet a deletion
        settings.add("train.max_steps=100000");
        long before = 0;
        int savesHit = 0;
        for (int kill = 0; kill < kills; kill++) {
            List<String> arguments = new ArrayList<>(settings);
            arguments.addFirst(kill == 0 ? "new" : "resume");
            Process process =
                    ChildJvm.start(
                            RunProcess.class,
                            List.of("-XX:TieredStopAtLevel=1"),
                            Map.of(),
                            arguments);
            try (BufferedReader out =
                    new BufferedReader(
                            new InputStreamReader(
                                    process.getInputStream(), StandardCharsets.UTF_8))) {
                String line = out.readLine();
                assertThat(line)
                        .as("%s, kill %d: first line", optimizer, kill)
                        .isEqualTo("step " + (before + 1));
                if (kill % 2 == 0) {
                    LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(random.nextInt(200)));
                } else {
                    awaitSaving(run);
                    LockSupport.parkNanos(TimeUnit.MICROSECONDS.toNanos(random.nextInt(4000)));
                }
            } finally {
                process.destroyForcibly().waitFor();
            }
            savesHit += isSaving(run) ? 1 : 0;
            before = assertNewestIsWhole(run, before);
        }
        return new Killed(optimizer, run, kills, before, savesHit);
    }

    private void assertEndsAsNeverKilled(Killed killed, Path data) throws IOException {
        Path run = killed.run;
        Path never = folder.resolve(killed.optimizer + "-never");
        long end = killed.steps + 3;
        List<String> last = new ArrayList<>(settings(killed.optimizer, run, data));
        last.add("train.max_steps=" + end);
        TinyRun.Record rest = TinyRun.resume(RunConfigReader.of(Overrides.ofWords(last)));
        assertThat(rest.steps).hasSize(3);
        List<String> whole = new ArrayList<>(settings(killed.optimizer, never, data));
        whole.add("train.max_steps=" + end);
        TinyRun.run(RunConfigReader.of(Overrides.ofWords(whole)));
        for (String file : FILES) {
            assertThat(Files.readAllBytes(run.resolve("checkpoint-" + end).resolve(file)))
                    .as(
                            "%s of %s after %d kills in %d steps",
                            file, killed.optimizer, killed.kills, end)
                    .isEqualTo(
                            Files.readAllBytes(never.resolve("checkpoint-" + end).resolve(file)));
        }
        assertThat(Files.readAllLines(run.resolve("metrics.jsonl")))
                .hasSameSizeAs(Files.readAllLines(never.resolve("metrics.jsonl")));
        assertThat(TinyRun.names(run))
                .noneMatch(name -> name.startsWith(".") || name.endsWith(".tmp"));
    }

    public static List<String> settings(String optimizer, Path run, Path data) {
        return List.of(
                "model.model_name_or_path=" + TinyLlama.folder(),
                "quantization.bnb_4bit_compute_dtype=float32",
                "lora.r=80", // large enough that paged_adamw_8bit has 8 bits
                "train.optim=" + optimizer,
                "lora.lora_dropout=0.1",
                "data.dataset=" + data,
                "train.output_dir=" + run,
                "train.per_device_train_batch_size=1",
                "train.gradient_accumulation_steps=1",
                "train.learning_rate=1e-3",
                "train.logging_steps=1",
                "train.save_steps=0",
                "data.eval_dataset_size=2",
                "eval.eval_strategy=steps",
                "eval.eval_steps=3");
    }

    private static void awaitSaving(Path run) {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (!isSaving(run) && System.nanoTime() < end) {
            Thread.onSpinWait();
        }
    }

    private static boolean isSaving(Path run) {
        return TinyRun.names(run).stream()
                .anyMatch(n -> n.matches("\\.checkpoint-\\d+\\.tmp-\\d+"));
    }

    /** Returns the step of the newest checkpoint, which must be whole and no step back. */
    private static long assertNewestIsWhole(Path run, long before) {
        Optional<Path> newest =
                TinyRun.names(run).stream()
                        .filter(n -> n.matches("checkpoint-\\d+"))
                        .max(Comparator.comparingInt(n -> Integer.parseInt(n.substring(11))))
                        .map(run::resolve);
        if (newest.isEmpty()) {
            assertThat(before).isZero();
            return 0;
        }
        Optional<RunCheckpoint> whole = RunCheckpoint.ifWhole(newest.get());
        assertThat(whole).as("%s is whole", newest.get()).isPresent();
        assertThat(whole.get().state().step()).isGreaterThanOrEqualTo(before);
        return whole.get().state().step();
    }
}
