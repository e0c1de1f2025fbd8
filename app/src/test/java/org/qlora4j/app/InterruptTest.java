package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.tensor.InstructionSet;

/** Ctrl-C, in a JVM of its own. */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "kill -INT is of POSIX")
class InterruptTest {
    @TempDir Path folder;

    /** What a process printed until its end. */
    private record Ended(int exitCode, List<String> out, List<String> err) {}

    @ParameterizedTest(name = "SIG{0} gives exit code {1}")
    @CsvSource({"INT, 130", "TERM, 143"})
    @Timeout(120)
    void interruptedWhileTraining_savesAndCanGoOn(String signal, int exitCode) throws Exception {
        assumeHeeded(signal);
        TrainBed bed = new TrainBed(folder);
        Ended ended = startAndInterrupt(bed, "step ", signal, "--steps", "100000");
        assertThat(ended.err()).isEmpty();
        assertThat(ended.exitCode()).isEqualTo(exitCode);
        List<String> out = ended.out();
        assertThat(out).contains("stopping: saving the last finished step");
        String stopped =
                out.stream().filter(l -> l.startsWith("stopped after ")).findFirst().orElseThrow();
        int steps = Integer.parseInt(stopped.split(" ", -1)[2]);
        Path saved = bed.run().resolve("checkpoint-" + steps);
        assertThat(saved.resolve("qlora4j.json")).isRegularFile();
        assertThat(out)
                .anyMatch(l -> l.startsWith("adapter: ") && l.contains("checkpoint-" + steps));
        assertThat(out).anyMatch(l -> l.startsWith("go on: ") && l.endsWith("--resume"));

        int more = steps + 2;
        assertThat(bed.command("train", bed.run().toString(), "--resume", "--steps", "" + more))
                .isEqualTo(ExitCode.OK);
        assertThat(bed.err()).isEmpty();
        assertThat(bed.out()).contains("run: %d steps from step %d".formatted(more, steps));
        assertThat(bed.run().resolve("checkpoint-" + more)).isDirectory();
    }

    /** The sample prompt is being answered with more tokens than the test has time for. */
    @Test
    @Timeout(120)
    void interruptedWhileAnswering_endsAtOnce() throws Exception {
        assumeHeeded("INT");
        TrainBed bed = new TrainBed(folder);
        String config = TrainBed.read(bed.model("config.json"));
        TrainBed.write(
                bed.model("config.json"),
                config.replace(
                        "\"max_position_embeddings\": 64", "\"max_position_embeddings\": 100000"));
        Ended ended =
                startAndInterrupt(
                        bed,
                        "step 2/2",
                        "INT",
                        "--steps",
                        "2",
                        "train.sample_prompt=[a]",
                        "train.sample_max_new_tokens=90000");
        assertThat(ended.err()).isEmpty();
        assertThat(ended.exitCode()).isEqualTo(130);
        assertThat(bed.run().resolve("checkpoint-2/qlora4j.json")).isRegularFile();
        assertThat(ended.out())
                .anyMatch(l -> l.startsWith("adapter: ") && l.contains("checkpoint-2"));
    }

    @Test
    @Timeout(120)
    void interruptedWhileReading_endsAtOnceAndLeavesNothing() throws Exception {
        TrainBed bed = new TrainBed(folder);
        interruptedWhileReading(bed, command(bed, List.of("--steps", "2")));
    }

    /** The JVM of {@code java -jar} has another one at work, and passes on what meets it alone. */
    @Test
    @Timeout(120)
    void interruptedAsJar_endsTheJvmAtWork() throws Exception {
        TrainBed bed = new TrainBed(folder);
        interruptedWhileReading(bed, StartTest.command(bed.words("--steps", "2")));
    }

    /** The data comes through a pipe that never ends. */
    private void interruptedWhileReading(TrainBed bed, List<String> command) throws Exception {
        assumeHeeded("INT");
        Files.delete(bed.data());
        assumeThat(new ProcessBuilder("mkfifo", bed.data().toString()).start().waitFor()).isZero();
        Path errors = folder.resolve("stderr.txt");
        Process process = new ProcessBuilder(command).redirectError(errors.toFile()).start();
        CompletableFuture.delayedExecutor(100, TimeUnit.SECONDS).execute(process::destroyForcibly);
        try (OutputStream pipe = Files.newOutputStream(bed.data())) { // when the run has opened it
            new ProcessBuilder("kill", "-INT", Long.toString(process.pid())).start().waitFor();
            assertThat(process.getInputStream().readAllBytes())
                    .asString(StandardCharsets.UTF_8)
                    .isEqualTo("stopped before the first step: nothing was saved\n");
            assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.exitValue()).isEqualTo(130);
        assertThat(bed.run()).doesNotExist();
    }

    /** A shell starts programs in the background with Ctrl-C ignored; children inherit that. */
    private static void assumeHeeded(String signal) throws IOException {
        Path status = Path.of("/proc/self/status");
        if (!signal.equals("INT") || !Files.exists(status)) {
            return;
        }
        long ignored =
                Files.readAllLines(status).stream()
                        .filter(line -> line.startsWith("SigIgn:"))
                        .mapToLong(line -> Long.parseUnsignedLong(line.substring(7).trim(), 16))
                        .sum();
        assumeThat(ignored & 1 << 1)
                .as("SIGINT is ignored here: the tests run in the background of a shell")
                .isZero();
    }

    private static List<String> command(TrainBed bed, List<String> settings) {
        List<String> options = new ArrayList<>(JvmSettings.options());
        options.addAll(InstructionSet.limit().jvmFlags());
        List<String> words =
                new ArrayList<>(bed.words("train.logging_steps=1", "train.save_steps=0"));
        words.addAll(settings);
        return OwnJvm.command(options, words);
    }

    private static Ended startAndInterrupt(
            TrainBed bed, String when, String signal, String... settings) throws Exception {
        List<String> command = command(bed, List.of(settings));
        Path errors = bed.folder().resolve("stderr.txt");
        Process process = new ProcessBuilder(command).redirectError(errors.toFile()).start();
        CompletableFuture.delayedExecutor(100, TimeUnit.SECONDS) // reading cannot be interrupted
                .execute(process::destroyForcibly);
        List<String> out = new ArrayList<>();
        try (BufferedReader lines =
                new BufferedReader(
                        new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            boolean sent = false;
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                out.add(line);
                if (!sent && line.startsWith(when)) {
                    sent = true;
                    new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid()))
                            .start()
                            .waitFor();
                }
            }
            assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        } finally {
            process.destroyForcibly();
        }
        return new Ended(process.exitValue(), out, Files.readAllLines(errors));
    }
}
