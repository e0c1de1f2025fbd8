package org.qlora4j.train;

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
 * @param dataFingerprint checksum of the examples
 * @param log an entry for each logged step, with the keys of the Hugging Face trainer
 */
record TrainerState(
        long step,
        long maxSteps,
        double epoch,
        long tokensSeen,
        String dataFingerprint,
        List<Map<String, Object>> log) {
    TrainerState {
        log = List.copyOf(log);
    }

    static TrainerState atStart(String dataFingerprint, long maxSteps) {
        return new TrainerState(0, maxSteps, 0, 0, dataFingerprint, List.of());
    }

    /** After one more step; a logged one leaves an entry. */
    TrainerState after(StepMetrics m, boolean logged) {
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
                m.step(), maxSteps, m.epoch(), tokensSeen + m.tokens(), dataFingerprint, entries);
    }

    TrainerState withMaxSteps(long steps) {
        return new TrainerState(step, steps, epoch, tokensSeen, dataFingerprint, log);
    }

    /** The content of {@code trainer_state.json}. */
    Map<String, @Nullable Object> toJson() {
        Map<String, @Nullable Object> json = new TreeMap<>();
        json.put("best_metric", null);
        json.put("best_model_checkpoint", null);
        json.put("epoch", epoch);
        json.put("global_step", step);
        json.put("is_local_process_zero", true);
        json.put("is_world_process_zero", true);
        json.put("log_history", log);
        json.put("max_steps", maxSteps);
        json.put("num_input_tokens_seen", tokensSeen);
        return json;
    }

    static TrainerState of(JsonNode json, String dataFingerprint) {
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
                dataFingerprint,
                log);
    }
}
