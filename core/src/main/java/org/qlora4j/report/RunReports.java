package org.qlora4j.report;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.config.ReportKind;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ExtraJar;
import org.qlora4j.run.EvalMetrics;
import org.qlora4j.run.ExactMatch;
import org.qlora4j.run.RunInfo;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.SampleAnswer;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.run.TaskMetrics;
import org.qlora4j.run.TrainResult;
import org.qlora4j.tensor.ResidentMemory;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes what {@code train.report_to} names, as the run goes on, and passes all it is told on to
 * another listener. The page and the curves are made from the files of the run folder, at each
 * checkpoint and at the end, so that they can be looked at while the run goes on, and be made again
 * later ({@link #write}).
 */
public final class RunReports implements RunListener, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(RunReports.class);

    /** The page of a run folder. */
    public static final String HTML_FILE = "report.html";

    /** The folder of TensorBoard's files in a run folder. */
    public static final String TENSORBOARD_FOLDER = "tensorboard";

    private final RunConfig config;
    private final List<ReportKind> kinds;
    private final RunListener next;
    private @Nullable EventFile events;

    public RunReports(RunConfig config, RunListener next) {
        this.config = config;
        this.kinds = config.train().reportTo();
        this.next = next;
    }

    /**
     * Makes the reports of a run folder.
     *
     * @param kinds which; TensorBoard's files are only made as a run goes on
     * @param figures figures by name that the folder does not hold
     * @throws org.qlora4j.error.UserException if it is no run folder, or cannot be written
     */
    public static void write(Path run, List<ReportKind> kinds, Map<String, String> figures) {
        RunSummary summary = RunSummary.read(run, figures);
        for (ReportKind kind : kinds) {
            switch (kind) {
                case HTML -> AtomicFiles.writeText(run.resolve(HTML_FILE), HtmlReport.of(summary));
                case PNG -> {
                    png(RunCharts.loss(summary.history()), run.resolve("loss.png"));
                    png(
                            RunCharts.learningRate(summary.history()),
                            run.resolve("learning_rate.png"));
                }
                case TENSORBOARD -> {}
            }
        }
    }

    private static void png(Chart chart, Path file) {
        if (chart.isWorthSeeing()) {
            ExtraJar.XCHART.requireFor(file); // before the class that names it is loaded
            PngChart.write(chart, file);
        }
    }

    /** A report that cannot be written is no reason to end a run of hours. */
    private void write(Map<String, String> figures) {
        try {
            write(config.train().outputPath(), kinds, figures);
        } catch (RuntimeException e) {
            LOG.warn("no report: {}", e.getMessage());
        }
    }

    private static double now() {
        return System.currentTimeMillis() / 1e3;
    }

    @Override
    public void notice(String line) {
        next.notice(line);
    }

    @Override
    public void started(RunInfo info) {
        if (kinds.contains(ReportKind.TENSORBOARD)) {
            Path folder = config.train().outputPath().resolve(TENSORBOARD_FOLDER);
            events = EventFile.create(folder, now());
            if (info.firstStep() > 0) {
                events.startAt(info.firstStep() + 1, now());
            }
        }
        next.started(info);
    }

    @Override
    public void stepDone(StepMetrics m) {
        if (events != null && config.train().logs(m.step(), m.totalSteps())) {
            Map<String, Double> values = new LinkedHashMap<>();
            values.put("train/loss", m.loss());
            values.put("train/grad_norm", m.gradNorm());
            values.put("train/learning_rate", m.learningRate());
            values.put("train/epoch", m.epoch());
            values.put("train/tokens_per_second", m.tokensPerSecond());
            events.scalars(m.step(), now(), values);
        }
        next.stepDone(m);
    }

    @Override
    public void evaluated(EvalMetrics m) {
        if (events != null) {
            Map<String, Double> values = new LinkedHashMap<>();
            values.put("eval/loss", m.loss());
            values.put("eval/perplexity", m.perplexity());
            m.scores().forEach((name, value) -> values.put("eval/" + name, value));
            events.scalars(m.step(), now(), values);
        }
        next.evaluated(m);
    }

    @Override
    public void tasksAsked(TaskMetrics m) {
        if (events != null) {
            Map<String, Double> values = new LinkedHashMap<>();
            m.results()
                    .forEach((task, metrics) ->
                            metrics.forEach((name, value) -> {
                                if (value instanceof Double number) {
                                    values.put("tasks/" + task + "/" + name, number);
                                }
                            }));
            events.scalars(m.step(), now(), values);
        }
        next.tasksAsked(m);
    }

    @Override
    public void checkpointSaved(Path folder) {
        write(Map.of());
        next.checkpointSaved(folder);
    }

    @Override
    public void compared(ExactMatch answers) {
        next.compared(answers);
    }

    @Override
    public void sampleAnswered(SampleAnswer answer) {
        next.sampleAnswered(answer);
    }

    @Override
    public void finished(TrainResult result) {
        Map<String, String> figures = new LinkedHashMap<>();
        figures.put(
                "minutes of training", String.format(Locale.ROOT, "%.1f", result.seconds() / 60));
        figures.put("GiB of tensors at most", gib(result.peakNativeBytes()));
        ResidentMemory.peak()
                .ifPresent(bytes -> figures.put("GiB of memory at most, the process", gib(bytes)));
        write(figures);
        next.finished(result);
    }

    private static String gib(long bytes) {
        return String.format(Locale.ROOT, "%.2f", bytes / 0x1p30);
    }

    /** Ends TensorBoard's file; the run may have ended by a failure. */
    @Override
    public void close() {
        if (events != null) {
            events.close();
            events = null;
        }
    }
}
