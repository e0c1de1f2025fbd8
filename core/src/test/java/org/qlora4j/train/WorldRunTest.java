package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.config.RunConfig;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.run.TrainResult;
import org.qlora4j.testing.ChildJvm;
import org.qlora4j.testing.FreePort;
import org.qlora4j.world.Membership;

/**
 * Runs of this JVM, process 0, with others that it starts once; {@code -Dqlora.processes=4} makes
 * them four. What they come to is held against the same run of one process.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Timeout(300)
class WorldRunTest {
    private static final int SIZE = Integer.getInteger("qlora.processes", 2);
    private static final String STAGES = "train.pipeline_parallel_size=2";
    private static final Offset<Double> ROUNDING = Offset.offset(1e-5);

    @TempDir static Path folder;
    private Path data;
    private final List<Process> others = new ArrayList<>();
    private final List<BufferedReader> answers = new ArrayList<>();
    private int runs;

    @BeforeAll
    void start() {
        data = TinyRun.data(folder);
        for (int rank = 1; rank < SIZE; rank++) {
            Process process =
                    ChildJvm.start(
                            WorldProcess.class,
                            List.of("-XX:-UseProfiledLoopPredicate", "-Xmx512m"),
                            Map.of(),
                            List.of());
            others.add(process);
            answers.add(
                    new BufferedReader(
                            new InputStreamReader(
                                    process.getInputStream(), StandardCharsets.UTF_8)));
        }
    }

    @AfterAll
    void end() throws Exception {
        for (Process process : others) {
            process.getOutputStream().close();
            assertThat(process.waitFor()).isZero();
        }
    }

    /** What a run told in this process, and how it ended in the others. */
    private record Ended(TinyRun.Record told, TrainResult result, List<String> elsewhere) {}

    private Ended together(Path out, boolean resume, String... settings) throws IOException {
        int port = FreePort.any();
        for (int i = 0; i < others.size(); i++) {
            tell(i, member(i + 1, port, ""), resume, TinyRun.words(out, data, settings));
        }
        TinyRun.Record told = new TinyRun.Record();
        RunConfig config = TinyRun.config(out, data, settings);
        TrainResult result = new TrainingRun(config, resume, told, member(0, port, "")).run();
        List<String> elsewhere = new ArrayList<>();
        for (BufferedReader answer : answers) {
            elsewhere.add(answer.readLine());
        }
        return new Ended(told, result, elsewhere);
    }

    private void tell(int other, Membership own, boolean resume, List<String> settings) {
        PrintStream in =
                new PrintStream(others.get(other).getOutputStream(), true, StandardCharsets.UTF_8);
        in.println(WorldProcess.line(own, resume, settings));
    }

    private static Membership member(int rank, int port, String token) {
        return WorldProcess.member(
                String.valueOf(rank), String.valueOf(SIZE), String.valueOf(port), token);
    }

    private Path out() {
        return folder.resolve("run-" + runs++);
    }

    private static Map<String, float[]> weights(Path checkpoint) {
        Map<String, float[]> out = new TreeMap<>();
        try (Checkpoint stored = Checkpoint.open(checkpoint);
                Arena arena = Arena.ofConfined()) {
            for (String name : stored.names()) {
                out.put(name, stored.read(name, arena).data().toArray(ValueLayout.JAVA_FLOAT));
            }
        }
        return out;
    }

    private static void assertClose(Path together, Path alone, String file) {
        Map<String, float[]> expected = weights(alone.resolve(file));
        Map<String, float[]> actual = weights(together.resolve(file));
        assertThat(actual).containsOnlyKeys(expected.keySet());
        expected.forEach((name, values) -> {
            float[] own = Objects.requireNonNull(actual.get(name), name);
            for (int i = 0; i < values.length; i++) {
                assertThat((double) own[i]).as("%s [%d]", name, i).isCloseTo(values[i], ROUNDING);
            }
        });
    }

    /**
     * A step has several micro-batches or one, rows that do not divide, or fewer than processes.
     */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "lora.lora_dropout=0.1 train.loraplus_lr_ratio=4 data.eval_dataset_size=5 eval.eval_strategy=steps eval.eval_steps=2",
                "train.per_device_train_batch_size=5 train.gradient_accumulation_steps=1 lora.lora_dropout=0.1 data.group_by_length=true",
                "train.per_device_train_batch_size=3 train.gradient_accumulation_steps=3 data.packing=true data.source_max_len=40 data.target_max_len=40 lora.use_dora=true",
                "train.per_device_train_batch_size=1 train.gradient_accumulation_steps=1 model.new_tokens=[xy]",
                "train.full_finetune=true quantization.load_in_4bit=false train.max_steps=3 train.learning_rate=1e-3"
            })
    void processesTogether_comeToWhatOneDoes(String words) throws Exception {
        assertSame(words, "");
    }

    /** Each process holds one of the two layers; of four processes each two hold a model. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "lora.lora_dropout=0.1 data.eval_dataset_size=5 eval.eval_strategy=steps eval.eval_steps=2",
                "train.per_device_train_batch_size=5 train.gradient_accumulation_steps=4 lora.lora_dropout=0.1 data.group_by_length=true",
                "train.per_device_train_batch_size=3 train.gradient_accumulation_steps=3 data.packing=true data.source_max_len=40 data.target_max_len=40 train.gradient_checkpointing=false lora.lora_dropout=0.1",
                "train.per_device_train_batch_size=1 train.gradient_accumulation_steps=1 lora.layers_to_transform=[1]"
            })
    void stages_comeToWhatOneProcessDoes(String words) throws Exception {
        assertSame(words, STAGES);
    }

    @Test
    void stages_goOnFromAnyCheckpoint() throws Exception {
        String dropout = "lora.lora_dropout=0.1";
        Path whole = out();
        together(whole, false, dropout, "train.save_steps=3", STAGES);
        Path again = TinyRun.copy(whole, out());
        Path rest = again.resolve("checkpoint-6");
        try (Stream<Path> files = Files.list(rest)) {
            files.forEach(file -> file.toFile().delete());
        }
        together(again, true, dropout, "train.save_steps=3", STAGES);
        for (String file : List.of("adapter_model.safetensors", "optimizer.safetensors")) {
            assertThat(rest.resolve(file))
                    .hasSameBinaryContentAs(whole.resolve("checkpoint-6").resolve(file));
        }
        TinyRun.Record alone =
                TinyRun.resume(TinyRun.config(whole, data, dropout, "train.max_steps=9"));
        Ended more = together(again, true, dropout, "train.max_steps=9", STAGES);
        for (int i = 0; i < 3; i++) {
            assertThat(more.told.steps.get(i).loss())
                    .isCloseTo(alone.steps.get(i).loss(), ROUNDING);
        }
    }

    /**
     * Holds a run together against the run of one process.
     *
     * @param besides a setting of the run together
     */
    private void assertSame(String words, String besides) throws IOException {
        // with Adam's usual 1e-8 a gradient that is rounding alone moves a weight by a whole step
        String[] settings = (words + " train.adam_epsilon=1e-4").split(" ", -1);
        Path alone = out();
        TinyRun.Record expected = TinyRun.run(TinyRun.config(alone, data, settings));
        Path together = out();
        Ended run =
                together(
                        together,
                        false,
                        (String.join(" ", settings) + " " + besides).strip().split(" ", -1));
        assertThat(run.told.steps).hasSameSizeAs(expected.steps);
        for (int i = 0; i < expected.steps.size(); i++) {
            StepMetrics one = expected.steps.get(i);
            StepMetrics all = run.told.steps.get(i);
            assertThat(all.loss()).isCloseTo(one.loss(), ROUNDING);
            assertThat(all.gradNorm()).isCloseTo(one.gradNorm(), Offset.offset(1e-4));
            assertThat(all.labelTokens()).isEqualTo(one.labelTokens());
            assertThat(all.tokens()).isEqualTo(one.tokens());
        }
        assertThat(run.told.evalLosses).hasSameSizeAs(expected.evalLosses);
        for (int i = 0; i < expected.evalLosses.size(); i++) {
            assertThat(run.told.evalLosses.get(i)).isCloseTo(expected.evalLosses.get(i), ROUNDING);
        }
        int steps = expected.steps.size();
        String name = words.contains("full") ? "model" : "adapter_model";
        assertClose(together, alone, "checkpoint-" + steps + "/" + name + ".safetensors");
        assertThat(run.elsewhere)
                .containsOnly("done " + steps + " " + run.result.lastLoss()); // to the bit
    }

    @Test
    void sameProcesses_resumeToTheSameBytes() throws Exception {
        String[] settings = {"lora.lora_dropout=0.1", "train.save_steps=2"};
        Path whole = out();
        together(whole, false, settings);
        Path again = out();
        together(again, false, "lora.lora_dropout=0.1", "train.save_steps=2", "train.max_steps=4");
        together(again, true, settings);
        for (String file : List.of("adapter_model.safetensors", "optimizer.safetensors")) {
            for (String step : List.of("checkpoint-4", "checkpoint-6")) {
                assertThat(Files.readAllBytes(again.resolve(step).resolve(file)))
                        .as("%s of %s", file, step)
                        .isEqualTo(Files.readAllBytes(whole.resolve(step).resolve(file)));
            }
        }
        Path fewer = TinyRun.copy(again, out());
        TinyRun.Record rest =
                TinyRun.resume(
                        TinyRun.config(fewer, data, "lora.lora_dropout=0.1", "train.max_steps=9"));
        Ended more = together(again, true, "lora.lora_dropout=0.1", "train.max_steps=9");
        for (int i = 0; i < 3; i++) {
            assertThat(rest.steps.get(i).loss()).isCloseTo(more.told.steps.get(i).loss(), ROUNDING);
            assertThat(rest.steps.get(i).tokens()).isEqualTo(more.told.steps.get(i).tokens());
        }
    }
}
