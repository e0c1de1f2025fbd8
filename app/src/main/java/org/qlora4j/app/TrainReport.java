package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.RunConfig;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.model.EmbeddedModel;
import org.qlora4j.run.BestEval;
import org.qlora4j.run.EvalMetrics;
import org.qlora4j.run.ExactMatch;
import org.qlora4j.run.RunInfo;
import org.qlora4j.run.SampleAnswer;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.run.TaskMetrics;
import org.qlora4j.run.TrainResult;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.ResidentMemory;

/**
 * Shows a run on the terminal: a head, a progress line, what the model says before and after, where
 * the adapter lies.
 */
final class TrainReport implements RunView {
    /** As it was typed, which the launcher tells. */
    private static final String COMMAND = System.getProperty("qlora.command", "./qlora");

    private final PrintWriter out;
    private final RunConfig config;
    private boolean classifies;
    private @Nullable ProgressLine progress;

    TrainReport(PrintWriter out, RunConfig config) {
        this.out = out;
        this.config = config;
    }

    @Override
    public void notice(String line) {
        println(line);
    }

    @Override
    public void started(RunInfo info) {
        classifies = info.classifies();
        println(
                String.format(
                        Locale.ROOT,
                        "model: %s, %s weights in %s; %s learn (%.2f%%); %s kernels, %s",
                        Path.of(config.model().modelNameOrPath()).getFileName(),
                        count(info.baseParameters()),
                        ByteSize.text(info.baseBytes()),
                        count(info.trainable()),
                        100.0 * info.trainable() / info.baseParameters(),
                        info.kernels(),
                        compute()));
        String from = info.firstStep() == 0 ? "" : " from step " + info.firstStep();
        String heldOut =
                info.heldOut() == 0 ? "" : ", %d more are held out".formatted(info.heldOut());
        println(
                "run: %d steps%s of %d x %d examples; the data has %d%s"
                        .formatted(
                                info.totalSteps(),
                                from,
                                config.train().gradientAccumulationSteps(),
                                config.train().perDeviceTrainBatchSize(),
                                info.examples(),
                                heldOut));
        if (info.processes() > 1) {
            println(
                    String.format(
                            Locale.ROOT,
                            "%d processes share each step; each sends %,d bytes of gradients a step",
                            info.processes(),
                            info.bytesPerStep()));
        }
        progress =
                new ProgressLine(
                        out, Terminal::current, info.firstStep(), config.train().loggingSteps());
        progress.begin(info.totalSteps());
    }

    /** The dtype between layers; a CPU without bf16 computes in f32 what was set as bfloat16. */
    private String compute() {
        if (config.quantization().computeDtype().onThisMachine() == DType.BF16) {
            return "bf16";
        }
        return Kernels.current().hasBf16() ? "f32" : "f32 as there are no bf16 instructions";
    }

    @Override
    public void stepDone(StepMetrics m) {
        ProgressLine line = progress;
        if (line != null) {
            line.update(
                    new Progress(
                            m.step(),
                            m.totalSteps(),
                            m.loss(),
                            m.tokensPerSecond(),
                            ResidentMemory.current().orElse(0),
                            ResidentMemory.peak().orElse(0),
                            Duration.ofMillis(Math.round(m.elapsedSeconds() * 1000))));
        }
    }

    @Override
    public void evaluated(EvalMetrics m) {
        println(
                String.format(
                        Locale.ROOT,
                        "step %d: held-out loss %.4f, perplexity %.3f%s%s",
                        m.step(),
                        m.loss(),
                        m.perplexity(),
                        scores(m.scores()),
                        m.isBest() && m.step() > 0 ? ", the best so far" : ""));
    }

    /** Further figures behind the loss, each with its name. */
    static String scores(Map<String, Double> scores) {
        StringBuilder text = new StringBuilder();
        scores.forEach((name, value) ->
                text.append(
                        String.format(Locale.ROOT, ", %s %.4f", name.replace('_', ' '), value)));
        return text.toString();
    }

    @Override
    public void tasksAsked(TaskMetrics m) {
        m.results()
                .forEach((task, metrics) ->
                        metrics.forEach((name, value) -> {
                            if (value instanceof Double number && !name.contains("_stderr,")) {
                                Object error = metrics.get(name.replaceFirst(",", "_stderr,"));
                                println(
                                        String.format(
                                                Locale.ROOT,
                                                "step %d: %s %s %.4f%s",
                                                m.step(),
                                                task,
                                                name.replace(",none", ""),
                                                number,
                                                error instanceof Double e
                                                        ? String.format(Locale.ROOT, " +- %.4f", e)
                                                        : ""));
                            }
                        }));
    }

    @Override
    public void sampleAnswered(SampleAnswer answer) {
        println("");
        println("prompt:    " + answer.prompt());
        if (answer.base() != null) {
            println("base:      " + indented(answer.base()));
            println("finetuned: " + indented(answer.finetuned()));
        } else {
            println("step %-5d %s".formatted(answer.step(), indented(answer.finetuned())));
        }
    }

    @Override
    public void compared(ExactMatch answers) {
        println("");
        AnswerTable.lines(answers, Terminal.current().columns()).forEach(this::println);
    }

    /** The last lines. */
    @Override
    public void conclude(TrainResult result) {
        if (progress != null) {
            progress.close();
        }
        println("");
        if (!result.cancelled() && Double.isNaN(result.lastLoss())) {
            println("nothing left to do: the run has its %d steps".formatted(result.steps()));
        } else {
            println(summary(result));
            println(memory(result));
        }
        Path adapter = result.adapter();
        if (adapter == null) {
            println("nothing was saved: no step was finished");
            return;
        }
        boolean whole = config.train().fullFinetune();
        BestEval best = result.best();
        boolean isBest = config.eval().loadBestModelAtEnd() && best != null && !result.cancelled();
        println(
                (whole ? "model:   " : "adapter: ")
                        + shortPath(adapter)
                        + (whole ? "" : " (PEFT files)")
                        + (isBest ? ", of the best evaluation" : ""));
        println(
                result.cancelled()
                        ? "go on:   "
                                + COMMAND
                                + " train "
                                + shortPath(config.train().outputPath())
                                + " --resume"
                        : "next:    "
                                + COMMAND
                                + (classifies ? " classify" : " generate")
                                + " --model "
                                + (whole
                                        ? shortPath(adapter)
                                        : shortPath(Path.of(config.model().modelNameOrPath()))
                                                + " --adapter "
                                                + shortPath(adapter))
                                + (classifies ? " --text" : " --prompt")
                                + " \"...\"");
        if (config.model().modelNameOrPath().equals(EmbeddedModel.NAME)) {
            println(
                    "note:    this is the toy inside the library; for answers that make sense train with --model"
                            + " smollm2 (0.3 GB, from the Hugging Face hub)");
        }
    }

    private String summary(TrainResult result) {
        String end =
                result.cancelled()
                        ? "stopped"
                        : result.stoppedEarly()
                                ? "no gain in %d evaluations: ended"
                                        .formatted(config.eval().earlyStoppingPatience())
                                : "done";
        if (Double.isNaN(result.lastLoss())) {
            return "%s after %d steps".formatted(end, result.steps());
        }
        return String.format(
                Locale.ROOT,
                "%s after %d steps: loss %.3f to %.3f, %s, %.0f tokens/s, peak memory %s",
                end,
                result.steps(),
                result.firstLoss(),
                result.lastLoss(),
                time(result.seconds()),
                result.tokens() / result.seconds(),
                ByteSize.text(ResidentMemory.peak().orElse(result.peakNativeBytes())));
    }

    /** The plan beside what was measured, and the JVM's part of what the process takes besides. */
    private static String memory(TrainResult result) {
        JvmMemory jvm = JvmMemory.now();
        return "memory:  tensors at most %s, planned %s; Java heap %s (%s used), classes and code %s"
                .formatted(
                        ByteSize.text(result.peakNativeBytes()),
                        ByteSize.text(result.plan().total()),
                        ByteSize.text(jvm.heap()),
                        ByteSize.text(jvm.heapUsed()),
                        ByteSize.text(jvm.code()));
    }

    @Override
    public void interrupted() {
        println("stopping: saving the last finished step");
    }

    @Override
    public void interruptedEarly() {
        println("stopped before the first step: nothing was saved");
    }

    @Override
    public void gaveUp(int seconds) {
        println(
                "the step did not end within "
                        + seconds
                        + " s; the newest checkpoint stays as it is");
    }

    /** Takes the progress line off the screen before something else is printed. */
    @Override
    public void clear() {
        if (progress != null) {
            progress.clear();
        }
    }

    private void println(String line) {
        if (progress != null) {
            progress.println(line);
        } else {
            out.println(line);
            out.flush();
        }
    }

    private static String indented(String text) {
        return text.replace("\n", "\n           ");
    }

    private static String count(long count) {
        if (count < 1_000_000) {
            return String.format(Locale.ROOT, "%.1fK", count / 1e3);
        }
        return count < 1_000_000_000
                ? String.format(Locale.ROOT, "%.1fM", count / 1e6)
                : String.format(Locale.ROOT, "%.2fB", count / 1e9);
    }

    private static String time(double seconds) {
        return seconds < 90
                ? String.format(Locale.ROOT, "%.0f s", seconds)
                : String.format(
                        Locale.ROOT, "%.0f min %02.0f s", Math.floor(seconds / 60), seconds % 60);
    }

    /** Relative to the working folder where that is shorter. */
    private static String shortPath(Path path) {
        Path absolute = path.toAbsolutePath().normalize();
        String relative = Path.of("").toAbsolutePath().relativize(absolute).toString();
        return relative.length() < absolute.toString().length() ? relative : absolute.toString();
    }
}
