package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Example;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.export.ShrinkConfig;
import org.qlora4j.export.Shrinker;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.testing.TinyLlama;
import org.qlora4j.tokenize.Tokenizer;

/** Runs that learn from a teacher. */
class DistillTest {
    @TempDir Path folder;

    /** Equal models give equal probabilities, so there is nothing to learn. */
    @Test
    void teacherOfOneself_leavesOnlyTheLossThatTopKCutsOff() {
        TinyRun.Record run =
                TinyRun.run(
                        config(
                                "run",
                                TinyLlama.folder(),
                                "distill.weight=1",
                                "distill.top_k=160",
                                "train.max_steps=2"));
        assertThat(run.losses().getFirst()).isCloseTo(0, offset(1e-5));
        assertThat(run.steps.getFirst().gradNorm()).isCloseTo(0, offset(1e-4));
    }

    @ParameterizedTest(name = "vocabulary {0}")
    @ValueSource(ints = {160, 150, 140})
    void shrunkStudent_comesNearerToItsTeacher(int vocabulary) {
        long memory = NativeMemory.liveBytes();
        TinyRun.Record run =
                TinyRun.run(
                        config(
                                "run",
                                student(vocabulary),
                                "train.max_steps=30",
                                "train.learning_rate=3e-3",
                                "distill.weight=0.9"));
        assertThat(run.losses().getLast()).isLessThan(0.5 * run.losses().getFirst());
        assertThat(NativeMemory.liveBytes()).isEqualTo(memory);
    }

    @Test
    void stoppedAndResumed_givesTheLossesOfTheRunNeverStopped() {
        Path student = student(150);
        List<Double> never = TinyRun.run(config("whole", student)).losses();
        List<Double> halves =
                new ArrayList<>(TinyRun.runAndStopAfter(config("halves", student), 4).losses());
        halves.addAll(TinyRun.resume(config("halves", student)).losses());
        assertThat(halves).isEqualTo(never);
    }

    /**
     * Every trained token has a target, but where none of the likely ones goes on as the text does.
     */
    @Test
    void examples_areAlignedToTheirEnd() {
        Path student = student(140);
        RunConfig config = config("run", student, "distill.top_k=160");
        String text = "<s>the inner reason for ä 🙂</s>";
        try (Tokenizer tokenizer = Tokenizer.load(student)) {
            int[] ids = tokenizer.encode(text);
            BitSet all = new BitSet();
            all.set(0, ids.length);
            Example whole = new Example(ids, all, "x", 1, ids.length, false);
            int[] part = java.util.Arrays.copyOf(ids, ids.length - 2); // inside the last letter
            Example cut = new Example(part, all.get(0, part.length), "x", 1, ids.length, true);
            Engine.run(() -> {
                try (Teacher teacher =
                        Teacher.load(
                                config,
                                ModelPlace.of(config.model()),
                                tokenizer,
                                List.of(whole, cut))) {
                    TeacherTargets targets = java.util.Objects.requireNonNull(teacher).ask(whole);
                    assertThat(targets.length()).isEqualTo(ids.length);
                    for (int t = 1; t < ids.length; t++) {
                        float sum = 0;
                        for (int i = targets.offsets()[t]; i < targets.offsets()[t + 1]; i++) {
                            sum += targets.probabilities()[i];
                        }
                        assertThat(sum).as("token %d", t).isCloseTo(1, offset(1e-5f));
                    }
                    TeacherTargets ofCut = teacher.ask(cut);
                    assertThat(ofCut.length()).isEqualTo(part.length);
                    assertThat(ofCut.offsets()[part.length / 2])
                            .isEqualTo(targets.offsets()[part.length / 2]);
                }
            });
        }
    }

    @Test
    void foreignTeacher_isRefused() throws Exception {
        Path foreign = Files.createDirectory(folder.resolve("foreign"));
        TinyLlama.copyTo(foreign, "tokenizer.json");
        Files.writeString(
                foreign.resolve("tokenizer.json"),
                """
                {"added_tokens": [], "model": {"type": "BPE", "vocab": {"ж": 0}, "merges": []}}
                """);
        assertThatThrownBy(() ->
                        TinyRun.run(
                                config("run", TinyLlama.folder(), "distill.teacher=" + foreign)))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("cannot write the token ж")
                .hasMessageNotContaining("\n");
        assertThat(folder.resolve("run")).doesNotExist();
    }

    @Test
    void valuesOutOfRange_areRefused() {
        for (String bad :
                List.of(
                        "distill.temperature=0",
                        "distill.weight=0",
                        "distill.weight=1.1",
                        "distill.top_k=0")) {
            assertThatThrownBy(() -> config("run", TinyLlama.folder(), bad))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageStartingWith(bad + ": distill.");
        }
    }

    private Path student(int vocabulary) {
        Path out = folder.resolve("student" + vocabulary);
        Shrinker.shrink(
                TinyLlama.folder(), new ShrinkConfig(vocabulary, List.of(0), null, 40), out);
        return out;
    }

    private RunConfig config(String run, Path model, String... more) {
        List<String> settings =
                new ArrayList<>(
                        List.of(
                                "train.full_finetune=true",
                                "quantization.load_in_4bit=false",
                                "train.max_steps=9",
                                "train.learning_rate=1e-3",
                                "data.train_on_source=true",
                                "distill.teacher=" + TinyLlama.folder(),
                                "distill.top_k=8"));
        settings.addAll(List.of(more));
        return TinyRun.config(
                model, folder.resolve(run), TinyRun.data(folder), settings.toArray(String[]::new));
    }
}
