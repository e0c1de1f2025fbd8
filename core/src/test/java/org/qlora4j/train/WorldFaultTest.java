package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.error.DeviceException;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.testing.ChildJvm;
import org.qlora4j.testing.FreePort;
import org.qlora4j.world.Membership;

/** Runs of two processes of which one, in a JVM of its own, dies, hangs or fails. */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "kill -STOP is of POSIX")
@Timeout(300)
class WorldFaultTest {
    private static final int SILENCE = 5;

    @TempDir Path folder;
    private Path data;
    private Path out;
    private Process other;
    private int port;

    @BeforeEach
    void start() throws IOException {
        data = TinyRun.data(folder);
        out = folder.resolve("run");
        port = FreePort.any();
        other =
                ChildJvm.start(
                        WorldProcess.class,
                        List.of("-XX:-UseProfiledLoopPredicate", "-Xmx512m"),
                        Map.of("TORCH_CPP_LOG_LEVEL", "FATAL"),
                        List.of());
    }

    @AfterEach
    void end() throws InterruptedException {
        other.destroyForcibly().waitFor();
    }

    private Membership member(int rank) {
        return WorldProcess.member(String.valueOf(rank), "2", String.valueOf(port), "");
    }

    private void tell(int rank, String... settings) {
        PrintStream in = new PrintStream(other.getOutputStream(), true, StandardCharsets.UTF_8);
        in.println(WorldProcess.line(member(rank), false, TinyRun.words(out, data, settings)));
    }

    private void signal(String name) {
        try {
            new ProcessBuilder("kill", "-" + name, String.valueOf(other.pid())).start().waitFor();
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** One of four, for a JVM costs seconds; {@code -Dqlora.faults=all} tries them all. */
    static List<Arguments> fates() {
        List<Arguments> all =
                List.of(
                        Arguments.of("KILL", 1, "process 1 of 2 is gone"),
                        Arguments.of("STOP", 0, "process 0 of 2 gives no sign of life for 5 s"),
                        Arguments.of("KILL", 0, "process 0 of 2 is gone"),
                        Arguments.of("STOP", 1, "process 1 of 2 gives no sign of life for 5 s"));
        return System.getProperty("qlora.faults") == null ? all.subList(0, 1) : all;
    }

    /** This JVM is the one that is left; the other one meets its fate after two steps. */
    @ParameterizedTest(name = "SIG{0} to process {1}")
    @MethodSource("fates")
    void deadOrHungProcess_endsTheOtherInTime(String signal, int rank, String line)
            throws Exception {
        String[] settings = {
            "train.max_steps=100000", "train.save_steps=2", "train.ddp_timeout=" + SILENCE
        };
        tell(rank, settings);
        long[] hit = {0};
        CompletableFuture<Void> fate =
                CompletableFuture.runAsync(() -> {
                    while (!Files.exists(out.resolve("checkpoint-2/qlora4j.json"))) {
                        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
                    }
                    hit[0] = System.nanoTime();
                    signal(signal);
                });
        TrainingRun run =
                new TrainingRun(
                        TinyRun.config(out, data, settings),
                        false,
                        RunListener.NONE,
                        member(1 - rank));
        assertThatThrownBy(run::run)
                .isInstanceOf(DeviceException.class)
                .message()
                .startsWith(line)
                .contains("; the last good checkpoint is " + out.resolve("checkpoint-"))
                .endsWith("; start all processes again, with --resume if there is a checkpoint")
                .doesNotContain("\n");
        fate.join();
        // the limit, and as much again for a machine that is busy with other tests
        assertThat(System.nanoTime() - hit[0])
                .isLessThan(TimeUnit.SECONDS.toNanos(2 * SILENCE + 5));
        if (signal.equals("KILL") && rank == 1) {
            long step = checkpoints();
            TinyRun.Record again =
                    TinyRun.resume(TinyRun.config(out, data, "train.max_steps=" + (step + 1)));
            assertThat(again.steps).extracting(StepMetrics::step).containsExactly(step + 1);
        }
    }

    private long checkpoints() {
        return TinyRun.names(out).stream()
                .filter(name -> name.startsWith("checkpoint-"))
                .mapToLong(name -> Long.parseLong(name.substring(11)))
                .max()
                .orElseThrow();
    }

    @Test
    void otherSettingsOrACancelledProcess_endBoth() throws Exception {
        BufferedReader answers =
                new BufferedReader(
                        new InputStreamReader(other.getInputStream(), StandardCharsets.UTF_8));
        tell(1, "train.learning_rate=3e-3");
        TrainingRun differs =
                new TrainingRun(TinyRun.config(out, data), false, RunListener.NONE, member(0));
        assertThatThrownBy(differs::run)
                .hasMessageContaining(
                        "train.learning_rate of process 1 of 2 is 0.003, that of process 0 is 0.01;");
        assertThat(answers.readLine()).startsWith("error train.learning_rate of process 1");
        assertThat(out).doesNotExist();

        port = FreePort.any();
        tell(1, "train.max_steps=100000");
        TrainingRun[] run = new TrainingRun[1];
        RunListener stops =
                new RunListener() {
                    @Override
                    public void stepDone(StepMetrics metrics) {
                        if (metrics.step() == 3) {
                            run[0].cancel();
                        }
                    }
                };
        run[0] =
                new TrainingRun(
                        TinyRun.config(out, data, "train.max_steps=100000"),
                        false,
                        stops,
                        member(0));
        assertThat(run[0].run().cancelled()).isTrue();
        assertThat(answers.readLine()).startsWith("done 3 ");
        assertThat(out.resolve("checkpoint-3/qlora4j.json")).exists();
    }
}
