package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.run.BestEval;
import org.qlora4j.run.EvalMetrics;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.run.TrainResult;
import org.qlora4j.tensor.NativeMemory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Runs that look at held-out examples, and what follows from what they see. */
public class EvaluationTest {
    private static final JsonMapper JSON = new JsonMapper();

    @TempDir Path folder;
    private Path data;
    private Path out;

    /** What {@code make_eval_references.py} made. */
    public static JsonNode references() {
        try (InputStream in =
                Objects.requireNonNull(
                        EvaluationTest.class.getResourceAsStream("eval-references.json"))) {
            return JSON.readTree(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @BeforeEach
    void layOut() {
        data = TinyRun.data(folder);
        out = folder.resolve("run");
    }

    /** What a run told, its evaluations among it. */
    private static class Listener extends TinyRun.Record {
        final List<EvalMetrics> evaluations = new ArrayList<>();

        @Override
        public void evaluated(EvalMetrics metrics) {
            evaluations.add(metrics);
        }
    }

    private static Listener run(RunConfig config) {
        Listener listener = new Listener();
        new TrainingRun(config, false, listener).run();
        return listener;
    }

    /** The batch must not weigh: neither its size nor the padding in it. */
    @ParameterizedTest(name = "batches of {0}")
    @ValueSource(ints = {1, 5, 24})
    void lossBeforeTheFirstStep_isThatOfTransformers(int batch) {
        Listener run =
                run(
                        TinyRun.config(
                                out,
                                data,
                                "quantization.load_in_4bit=false",
                                "train.max_steps=1",
                                "data.eval_dataset=" + data,
                                "eval.eval_strategy=steps",
                                "eval.eval_steps=100",
                                "eval.eval_on_start=true",
                                "eval.per_device_eval_batch_size=" + batch));
        double loss = 0;
        long labels = 0;
        for (JsonNode record : references().get("records")) {
            loss += record.get("loss").asDouble();
            labels += record.get("labels").asLong();
        }
        assertThat(run.evaluations).extracting(EvalMetrics::step).containsExactly(0L, 1L);
        EvalMetrics before = run.evaluations.getFirst();
        assertThat(before.labelTokens()).isEqualTo(labels).isPositive();
        assertThat(before.examples()).isEqualTo(24);
        assertThat(before.loss()).isCloseTo(loss / labels, within(1e-5));
        assertThat(before.perplexity()).isCloseTo(Math.exp(loss / labels), within(1e-3));
    }

    @Test
    void everySecondStep_isInMetricsAndState() throws Exception {
        Listener run =
                run(
                        TinyRun.config(
                                out,
                                data,
                                "train.max_steps=5",
                                "train.save_steps=2",
                                "data.eval_dataset_size=4",
                                "eval.eval_strategy=steps",
                                "eval.eval_steps=2"));
        assertThat(run.evaluations).extracting(EvalMetrics::step).containsExactly(2L, 4L, 5L);
        assertThat(run.evaluations).extracting(EvalMetrics::examples).containsOnly(4);
        List<JsonNode> lines =
                Files.readAllLines(out.resolve("metrics.jsonl")).stream()
                        .map(JSON::readTree)
                        .filter(line -> line.has("eval_loss"))
                        .toList();
        JsonNode state = JSON.readTree(out.resolve("checkpoint-5/trainer_state.json"));
        List<JsonNode> log =
                state.get("log_history").valueStream().filter(e -> e.has("eval_loss")).toList();
        assertThat(lines).hasSize(3);
        assertThat(log).hasSize(3);
        for (int i = 0; i < 3; i++) {
            EvalMetrics told = run.evaluations.get(i);
            assertThat(lines.get(i).get("step").asLong()).isEqualTo(told.step());
            assertThat(lines.get(i).get("eval_loss").asDouble()).isEqualTo(told.loss());
            assertThat(log.get(i).get("eval_loss").asDouble()).isEqualTo(told.loss());
        }
        EvalMetrics best = run.evaluations.stream().filter(EvalMetrics::isBest).toList().getLast();
        assertThat(state.get("best_metric").asDouble()).isEqualTo(best.loss());
        assertThat(state.get("best_global_step").asLong()).isEqualTo(best.step());
    }

    @Test
    void evaluation_leavesTheTrainingAsItIs() throws Exception {
        long live = NativeMemory.liveBytes();
        String[] common = {"data.eval_dataset_size=6", "lora.lora_dropout=0.1"};
        TinyRun.run(TinyRun.config(folder.resolve("never"), data, common));
        TinyRun.run(
                TinyRun.config(
                        out,
                        data,
                        common[0],
                        common[1],
                        "eval.eval_strategy=steps",
                        "eval.eval_steps=1"));
        assertThat(Files.readAllBytes(out.resolve("checkpoint-6/adapter_model.safetensors")))
                .isEqualTo(
                        Files.readAllBytes(
                                folder.resolve("never/checkpoint-6/adapter_model.safetensors")));
        assertThat(NativeMemory.liveBytes()).isEqualTo(live);
    }

    @Test
    void epochStrategy_evaluatesAtEachEnd() {
        Listener run =
                run(
                        TinyRun.config(
                                out,
                                data,
                                "train.max_steps=null",
                                "train.num_train_epochs=2",
                                "data.eval_dataset_size=0.5",
                                "eval.eval_strategy=epoch"));
        assertThat(run.evaluations).extracting(EvalMetrics::epoch).containsExactly(1.0, 2.0);
        assertThat(run.evaluations).extracting(EvalMetrics::examples).containsOnly(12);
    }

    /** What is held out contradicts what is learnt (x goes on with y): soon it only gets worse. */
    private RunConfig ruinous(Path run, String... more) throws IOException {
        Path other = folder.resolve("other.jsonl");
        Files.writeString(other, "{\"input\": \"say : \", \"output\": \"xxxxxxxxxxxx\"}\n");
        List<String> settings =
                new ArrayList<>(
                        List.of(
                                "data.eval_dataset=" + other,
                                "eval.eval_strategy=steps",
                                "eval.eval_steps=1",
                                "train.learning_rate=0.1",
                                "train.max_steps=12",
                                "eval.load_best_model_at_end=true",
                                "train.save_total_limit=1"));
        settings.addAll(List.of(more));
        return TinyRun.config(run, data, settings.toArray(String[]::new));
    }

    @Test
    void bestCheckpoint_isKeptAndIsTheOutcome() throws Exception {
        Listener listener = new Listener();
        TrainResult result = new TrainingRun(ruinous(out), false, listener).run();
        BestEval best = Objects.requireNonNull(result.best());
        double lowest =
                listener.evaluations.stream().mapToDouble(EvalMetrics::loss).min().orElseThrow();
        assertThat(best.value()).isEqualTo(lowest);
        assertThat(best.step()).as("the case is worth something").isBetween(1L, 11L);
        assertThat(result.adapter()).isEqualTo(out.resolve("checkpoint-" + best.step()));
        assertThat(TinyRun.names(out))
                .containsExactlyInAnyOrder(
                        "checkpoint-" + best.step(),
                        "checkpoint-12",
                        "config.yaml",
                        "metrics.jsonl");
    }

    @Test
    void noGain_endsTheRunAndResumeHasNothingLeftToDo() throws Exception {
        RunConfig config = ruinous(out, "eval.early_stopping_patience=2", "train.max_steps=1000");
        TrainResult result = new TrainingRun(config, false, RunListener.NONE).run();
        BestEval best = Objects.requireNonNull(result.best());
        assertThat(result.stoppedEarly()).isTrue();
        assertThat(best.patienceUsed()).isEqualTo(2);
        assertThat(result.steps()).isBetween(best.step() + 1, 999L);
        TinyRun.Record again = TinyRun.resume(config);
        assertThat(again.steps).isEmpty();
    }

    @Test
    void stoppedAndResumed_evaluatesAsTheRunNeverStopped() throws Exception {
        Path halves = folder.resolve("halves");
        TinyRun.run(ruinous(out));
        TinyRun.runAndStopAfter(ruinous(halves), 5);
        TinyRun.resume(ruinous(halves));
        assertThat(Files.readString(halves.resolve("checkpoint-12/trainer_state.json")))
                .isEqualTo(Files.readString(out.resolve("checkpoint-12/trainer_state.json")));
        assertThat(TinyRun.names(halves)).isEqualTo(TinyRun.names(out));
        assertThat(Files.readAllLines(halves.resolve("metrics.jsonl")))
                .hasSameSizeAs(Files.readAllLines(out.resolve("metrics.jsonl")));
    }

    /** The step is saved without its evaluation, which comes first when the run goes on. */
    @Test
    void cancelledWhileEvaluating_evaluatesThatStepOnResume() throws Exception {
        TrainingRun[] run = new TrainingRun[1];
        Listener first =
                new Listener() {
                    @Override
                    public void stepDone(StepMetrics metrics) {
                        if (metrics.step() == 3) {
                            run[0].cancel(); // before the first batch of the evaluation
                        }
                    }
                };
        RunConfig config = ruinous(out, "train.max_steps=4");
        run[0] = new TrainingRun(config, false, first);
        run[0].run();
        assertThat(first.evaluations).extracting(EvalMetrics::step).containsExactly(1L, 2L);
        Listener second = new Listener();
        new TrainingRun(config, true, second).run();
        assertThat(second.evaluations).extracting(EvalMetrics::step).containsExactly(3L, 4L);
        Path never = folder.resolve("never");
        TinyRun.run(ruinous(never, "train.max_steps=4"));
        assertThat(Files.readString(out.resolve("checkpoint-4/trainer_state.json")))
                .isEqualTo(Files.readString(never.resolve("checkpoint-4/trainer_state.json")));
    }

    @Test
    void nothingHeldOut_isRefused() {
        assertThatThrownBy(() -> TinyRun.config(out, data, "eval.eval_strategy=steps"))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(
                        "eval.eval_strategy needs held-out examples; name a file as data.eval_dataset");
        assertThatThrownBy(() -> TinyRun.config(out, data, "eval.load_best_model_at_end=true"))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("eval.load_best_model_at_end must be false with");
        assertThatThrownBy(() ->
                        TinyRun.config(
                                out,
                                data,
                                "data.eval_dataset_size=2",
                                "eval.eval_strategy=steps",
                                "eval.greater_is_better=true"))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("eval.greater_is_better must be false or null");
    }
}
