package org.qlora4j.run;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * How far a run has come: all that a resumed run needs besides adapter and optimizer, since order
 * of the data and dropout are functions of seed and step.
 *
 * @param step steps done
 * @param maxSteps steps of the run
 * @param epoch passes over the data
 * @param tokensSeen tokens trained on, without padding
 * @param origin what the run was begun on
 * @param best the best evaluation; null before the first
 * @param log an entry for each logged step, with the keys of the Hugging Face trainer
 */
public record TrainerState(
        long step,
        long maxSteps,
        double epoch,
        long tokensSeen,
        Fingerprints origin,
        @Nullable BestEval best,
        List<Map<String, Object>> log) {
    private static final String EARLY_STOPPING = "EarlyStoppingCallback";
    private static final String PATIENCE_USED = "early_stopping_patience_counter";

    public TrainerState {
        log = List.copyOf(log);
    }

    public static TrainerState atStart(Fingerprints origin) {
        return new TrainerState(0, 0, 0, 0, origin, null, List.of());
    }

    /** After one more step; a logged one leaves an entry. */
    public TrainerState after(StepMetrics m, boolean logged) {
        List<Map<String, Object>> entries = new ArrayList<>(log);
        if (logged) {
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("epoch", m.epoch());
            entry.put("grad_norm", m.gradNorm());
            entry.put("learning_rate", m.learningRate());
            entry.put("loss", m.loss());
            entry.put("step", m.step());
            entries.add(entry);
        }
        return new TrainerState(
                m.step(), maxSteps, m.epoch(), tokensSeen + m.tokens(), origin, best, entries);
    }

    /**
     * After an evaluation at this step; how long it took is left out, so that equal runs save equal
     * bytes.
     */
    public TrainerState after(EvalMetrics m, BestEval best) {
        List<Map<String, Object>> entries = new ArrayList<>(log);
        Map<String, Object> entry = new LinkedHashMap<>();
        entry.put("epoch", m.epoch());
        entry.put("eval_loss", m.loss());
        entry.put("eval_perplexity", m.perplexity());
        m.scores()
                .forEach((name, value) -> {
                    if (!Double.isNaN(value)) { // as of a correlation with what never changes
                        entry.put("eval_" + name, value);
                    }
                });
        entry.put("step", m.step());
        entries.add(entry);
        return new TrainerState(step, maxSteps, epoch, tokensSeen, origin, best, entries);
    }

    /** Whether the weights were evaluated as they are at this step. */
    public boolean isEvaluated() {
        return log.stream()
                .anyMatch(entry ->
                        entry.containsKey("eval_loss")
                                && entry.get("step") instanceof Number at
                                && at.longValue() == step);
    }

    public TrainerState withMaxSteps(long steps) {
        return new TrainerState(step, steps, epoch, tokensSeen, origin, best, log);
    }

    /** The content of {@code trainer_state.json}. */
    Map<String, @Nullable Object> toJson() {
        Map<String, @Nullable Object> json = new TreeMap<>();
        json.put("best_global_step", best == null ? null : best.step());
        json.put("best_metric", best == null ? null : best.value());
        json.put("best_model_checkpoint", best == null ? null : RunFolder.nameOf(best.step()));
        json.put("epoch", epoch);
        json.put("global_step", step);
        json.put("is_local_process_zero", true);
        json.put("is_world_process_zero", true);
        json.put("log_history", log);
        json.put("max_steps", maxSteps);
        json.put("num_input_tokens_seen", tokensSeen);
        int patienceUsed = best == null ? 0 : best.patienceUsed();
        json.put(
                "stateful_callbacks",
                Map.of(EARLY_STOPPING, Map.of("attributes", Map.of(PATIENCE_USED, patienceUsed))));
        return json;
    }

    static TrainerState of(JsonNode json, Fingerprints origin) {
        List<Map<String, Object>> log = new ArrayList<>();
        for (JsonNode entry : json.path("log_history")) {
            Map<String, Object> values = new LinkedHashMap<>();
            entry.forEachEntry((key, value) ->
                    values.put(
                            key,
                            value.isIntegralNumber()
                                    ? (Object) value.asLong()
                                    : (Object) value.asDouble()));
            log.add(values);
        }
        return new TrainerState(
                json.path("global_step").asLong(0),
                json.path("max_steps").asLong(0),
                json.path("epoch").asDouble(0),
                json.path("num_input_tokens_seen").asLong(0),
                origin,
                bestOf(json),
                log);
    }

    /** A checkpoint without evaluation, also one that was made before there was any, has none. */
    private static @Nullable BestEval bestOf(JsonNode json) {
        if (!json.path("best_metric").isNumber() || !json.path("best_global_step").isNumber()) {
            return null;
        }
        JsonNode attributes =
                json.path("stateful_callbacks").path(EARLY_STOPPING).path("attributes");
        return new BestEval(
                json.path("best_metric").asDouble(),
                json.path("best_global_step").asLong(),
                attributes.path(PATIENCE_USED).asInt(0));
    }
}
