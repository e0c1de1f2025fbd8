package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.run.EvalMetrics;
import org.qlora4j.run.ExactMatch;
import org.qlora4j.run.RunInfo;
import org.qlora4j.run.SampleAnswer;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.run.TaskMetrics;
import org.qlora4j.run.TrainResult;
import tools.jackson.databind.json.JsonMapper;

/**
 * Prints a line of JSON for each event of a run, with its name as {@code event}. Numbers that are
 * not finite are null, as JSON has none.
 *
 * @param out takes the lines
 */
record JsonRunView(PrintWriter out) implements RunView {
    @Override
    public void notice(String line) {
        print("notice", fields("text", line));
    }

    @Override
    public void started(RunInfo info) {
        print(
                "started",
                fields(
                        "first_step", info.firstStep(),
                        "total_steps", info.totalSteps(),
                        "examples", info.examples(),
                        "held_out", info.heldOut(),
                        "parameters", info.baseParameters(),
                        "trainable", info.trainable(),
                        "kernels", info.kernels(),
                        "processes", info.processes(),
                        "bytes_per_step", info.bytesPerStep()));
    }

    @Override
    public void stepDone(StepMetrics m) {
        print(
                "step",
                fields(
                        "step", m.step(),
                        "total_steps", m.totalSteps(),
                        "loss", m.loss(),
                        "learning_rate", m.learningRate(),
                        "tokens_per_second", m.tokensPerSecond(),
                        "elapsed_seconds", m.elapsedSeconds()));
    }

    @Override
    public void evaluated(EvalMetrics m) {
        Map<String, Object> fields =
                fields("step", m.step(), "eval_loss", m.loss(), "eval_perplexity", m.perplexity());
        m.scores().forEach((name, value) -> fields.putAll(fields("eval_" + name, value)));
        print("evaluated", fields);
    }

    @Override
    public void tasksAsked(TaskMetrics m) {
        print("tasks", fields("step", m.step(), "results", m.results()));
    }

    @Override
    public void checkpointSaved(Path folder) {
        print("checkpoint", fields("folder", folder.toString()));
    }

    @Override
    public void sampleAnswered(SampleAnswer answer) {
        print(
                "sample",
                fields(
                        "step", answer.step(),
                        "prompt", answer.prompt(),
                        "base", answer.base(),
                        "answer", answer.finetuned()));
    }

    @Override
    public void compared(ExactMatch answers) {
        print(
                "compared",
                fields(
                        "step", answers.step(),
                        "held_out", answers.predictions().size(),
                        "base_right", answers.baseRight(),
                        "right", answers.right()));
    }

    @Override
    public void interrupted() {
        print("interrupted", Map.of());
    }

    @Override
    public void interruptedEarly() {
        print("interrupted", Map.of());
    }

    @Override
    public void gaveUp(int seconds) {
        print("gave_up", fields("seconds", seconds));
    }

    @Override
    public void conclude(TrainResult result) {
        Path outcome = result.adapter();
        print(
                "finished",
                fields(
                        "adapter", outcome == null ? null : outcome.toString(),
                        "steps", result.steps(),
                        "first_loss", result.firstLoss(),
                        "last_loss", result.lastLoss(),
                        "seconds", result.seconds(),
                        "tokens", result.tokens(),
                        "stopped_early", result.stoppedEarly(),
                        "cancelled", result.cancelled(),
                        "peak_bytes", result.peakNativeBytes()));
    }

    /** Names and values in turn. */
    @SuppressWarnings("NullAway") // a field of JSON may be null
    private static Map<String, Object> fields(@Nullable Object... namesAndValues) {
        Map<String, Object> fields = new LinkedHashMap<>();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            Object value = namesAndValues[i + 1];
            boolean isNumber = !(value instanceof Double number) || Double.isFinite(number);
            fields.put(String.valueOf(namesAndValues[i]), isNumber ? value : null);
        }
        return fields;
    }

    private synchronized void print(String event, Map<String, Object> fields) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("event", event);
        line.putAll(fields);
        out.println(JsonMapper.shared().writeValueAsString(line));
        out.flush();
    }
}
