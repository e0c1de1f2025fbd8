package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.tensor.DType;
import org.qlora4j.testing.ChildJvm;
import org.qlora4j.testing.SmallLlama;

/**
 * 300 steps of varying lengths after a warm-up in a JVM of its own, whose heap is small and touched
 * from the start, so that what grows is native memory.
 */
@EnabledOnOs(value = OS.LINUX, disabledReason = "resident memory is read from /proc")
class MemorySoakTest {
    private static final int WARM = 200; // the compilers' own memory grows until then
    private static final int STEPS = WARM + 300;

    @TempDir Path folder;

    private record Line(int step, long residentKib, long liveBytes, long caught) {}

    /** Those that this processor computes in: without bf16 both would be the same run. */
    static Stream<String> dtypes() {
        return Stream.of(ComputeDtype.FLOAT32, ComputeDtype.BFLOAT16)
                .map(ComputeDtype::onThisMachine)
                .distinct()
                .map(dtype -> dtype == DType.F32 ? "float32" : "bfloat16");
    }

    @ParameterizedTest
    @MethodSource("dtypes")
    @Timeout(600)
    void threeHundredSteps_memoryStaysFlat(String dtype) throws Exception {
        Path model = SmallLlama.write(Files.createDirectory(folder.resolve("model")));
        List<Line> lines =
                run(
                        "model.model_name_or_path=" + model,
                        "quantization.bnb_4bit_compute_dtype=" + dtype,
                        "lora.r=8",
                        "lora.lora_dropout=0.05",
                        "data.dataset=" + data(),
                        "data.group_by_length=true",
                        "train.output_dir=" + folder.resolve("run"),
                        "train.max_steps=" + STEPS,
                        "train.per_device_train_batch_size=2",
                        "train.gradient_accumulation_steps=1",
                        "train.threads=1", // two would wait for each other on a busy machine
                        "train.save_steps=40",
                        "train.save_total_limit=2");
        assertThat(lines).extracting(Line::step).hasSize(STEPS).last().isEqualTo(STEPS);
        assertThat(lines.stream().map(Line::liveBytes).distinct())
                .as("bytes of live tensors at step boundaries")
                .hasSize(1);
        assertThat(lines).extracting(Line::caught).containsOnly(0L);
        long before = median(lines.subList(WARM - 20, WARM));
        long after = median(lines.subList(STEPS - 20, STEPS));
        assertThat(after - before)
                .as("resident KiB around step %d: %d, at the end: %d", WARM, before, after)
                .isLessThan(Math.max(8 << 10, before * 3 / 100));
    }

    /**
     * 64 prompts and answers of twelve lengths from 10 to 100 tokens, seed 11. No more lengths:
     * oneDNN keeps some 0.4 MiB of code for each new shape of a bf16 product, up to 1024 of them,
     * and that must have come to its end before memory is compared.
     */
    private Path data() throws Exception {
        Random random = new Random(11);
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 64; i++) {
            int length = i < 12 ? i : random.nextInt(12);
            String prompt = "q".repeat(4 + 4 * length);
            String answer = "zk".repeat(2 + 2 * length);
            lines.append("{\"input\": \"%s\", \"output\": \"%s\"}%n".formatted(prompt, answer));
        }
        return Files.writeString(folder.resolve("data.jsonl"), lines);
    }

    private static List<Line> run(String... settings) throws Exception {
        Process process =
                ChildJvm.start(
                        SoakProcess.class,
                        List.of("-Xms64m", "-Xmx64m", "-XX:+AlwaysPreTouch"),
                        Map.of(),
                        Arrays.asList(settings));
        List<Line> lines = new ArrayList<>();
        try (BufferedReader out =
                new BufferedReader(
                        new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = out.readLine(); line != null; line = out.readLine()) {
                long[] n = Arrays.stream(line.split(" ", -1)).mapToLong(Long::parseLong).toArray();
                lines.add(new Line((int) n[0], n[1], n[2], n[3]));
            }
            assertThat(process.waitFor()).isZero();
        } finally {
            process.destroyForcibly();
        }
        return lines;
    }

    private static long median(List<Line> lines) {
        long[] sorted = lines.stream().mapToLong(Line::residentKib).sorted().toArray();
        return sorted[sorted.length / 2];
    }
}
