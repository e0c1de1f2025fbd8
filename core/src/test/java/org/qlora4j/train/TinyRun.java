package org.qlora4j.train;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.qlora4j.config.Overrides;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.run.EvalMetrics;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.testing.TinyLlama;

/** Runs of a few steps on the tiny model; every setting can be given anew. */
public final class TinyRun {
    /** Records in {@link #data}. */
    static final int EXAMPLES = 24;

    private TinyRun() {}

    /** Prompts and answers of 10 to 40 tokens, in a new file. */
    public static Path data(Path folder) {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < EXAMPLES; i++) {
            String prompt = "say " + "abc".repeat(i % 5) + ": ";
            String answer = "xy".repeat(1 + i * 7 % 11);
            lines.append("{\"input\": \"%s\", \"output\": \"%s\"}%n".formatted(prompt, answer));
        }
        try {
            return Files.writeString(folder.resolve("data.jsonl"), lines);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Settings of six steps of two times two examples, over which the given ones go. */
    public static RunConfig config(Path out, Path data, String... settings) {
        return config(TinyLlama.folder(), out, data, settings);
    }

    public static RunConfig config(Path model, Path out, Path data, String... settings) {
        return RunConfigReader.of(Overrides.ofWords(words(model, out, data, settings)));
    }

    /** The words of {@link #config(Path, Path, String...)}. */
    static List<String> words(Path out, Path data, String... settings) {
        return words(TinyLlama.folder(), out, data, settings);
    }

    private static List<String> words(Path model, Path out, Path data, String... settings) {
        List<String> words =
                new ArrayList<>(
                        List.of(
                                "model.model_name_or_path=" + model,
                                "quantization.bnb_4bit_compute_dtype=float32",
                                "lora.r=4",
                                "lora.lora_alpha=8",
                                "data.dataset=" + data,
                                "train.output_dir=" + out,
                                "train.max_steps=6",
                                "train.per_device_train_batch_size=2",
                                "train.gradient_accumulation_steps=2",
                                "train.learning_rate=1e-2",
                                "train.logging_steps=1",
                                "train.save_steps=0"));
        words.addAll(List.of(settings));
        return words;
    }

    /** What a run told. */
    public static class Record implements RunListener {
        public final List<StepMetrics> steps = new ArrayList<>();
        final List<String> notices = new ArrayList<>();
        final List<Path> saved = new ArrayList<>();
        final List<Double> evalLosses = new ArrayList<>();

        List<Double> losses() {
            return steps.stream().map(StepMetrics::loss).toList();
        }

        @Override
        public void notice(String line) {
            notices.add(line);
        }

        @Override
        public void stepDone(StepMetrics metrics) {
            steps.add(metrics);
        }

        @Override
        public void evaluated(EvalMetrics metrics) {
            evalLosses.add(metrics.loss());
        }

        @Override
        public void checkpointSaved(Path folder) {
            saved.add(folder);
        }
    }

    static Record run(RunConfig config) {
        Record record = new Record();
        new TrainingRun(config, false, record).run();
        return record;
    }

    public static Record resume(RunConfig config) {
        Record record = new Record();
        new TrainingRun(config, true, record).run();
        return record;
    }

    /** Runs and cancels as soon as a step is done. */
    static Record runAndStopAfter(RunConfig config, int step) {
        TrainingRun[] run = new TrainingRun[1];
        Record record =
                new Record() {
                    @Override
                    public void stepDone(StepMetrics metrics) {
                        super.stepDone(metrics);
                        if (metrics.step() == step) {
                            run[0].cancel();
                        }
                    }
                };
        run[0] = new TrainingRun(config, false, record);
        run[0].run();
        return record;
    }

    /** Names of a folder's content, sorted. */
    public static List<String> names(Path folder) {
        try (var files = Files.list(folder)) {
            return files.map(f -> String.valueOf(f.getFileName())).sorted().toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Copies a folder with what is in it. */
    static Path copy(Path from, Path to) {
        try (var files = Files.walk(from)) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(from.relativize(file).toString()));
            }
            return to;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
