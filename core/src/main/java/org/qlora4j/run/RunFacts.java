package org.qlora4j.run;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.TrainConfig;
import org.qlora4j.quant.QuantConfig;

/** What a run says of itself on a model card: how it was trained, on what, and how well. */
public final class RunFacts {
    private RunFacts() {}

    /**
     * The facts by name, in order.
     *
     * @param baseParameters weights of the base model
     */
    public static Map<String, String> of(RunConfig run, TrainerState state, long baseParameters) {
        Map<String, String> facts = new LinkedHashMap<>();
        QuantConfig held = run.quantization();
        facts.put(
                "base held in",
                held.load4bit()
                        ? held.type().key()
                        : held.load8bit()
                                ? "8 bits, LLM.int8()"
                                : held.keepStored()
                                        ? "the blocks of its GGUF file"
                                        : "its own type");
        facts.put("steps", String.valueOf(state.step()));
        facts.put("data (SHA-256)", state.origin().data());
        TrainConfig train = run.train();
        facts.put(
                "settings",
                "%d x %d examples a step, learning rate %s, %s, seed %d"
                        .formatted(
                                train.gradientAccumulationSteps(),
                                train.perDeviceTrainBatchSize(),
                                train.learningRateFor(baseParameters),
                                train.lrSchedulerType().name().toLowerCase(Locale.ROOT),
                                train.seed()));
        evaluation(state.log(), facts);
        return facts;
    }

    /** The last evaluation on held-out examples; nothing if there was none. */
    private static void evaluation(List<Map<String, Object>> log, Map<String, String> facts) {
        for (Map<String, Object> entry : log.reversed()) {
            if (entry.get("eval_loss") instanceof Number loss
                    && entry.get("eval_perplexity") instanceof Number perplexity) {
                facts.put(
                        "evaluation",
                        String.format(
                                Locale.ROOT,
                                "loss %.4f, perplexity %.4f on held-out examples, at step %s",
                                loss.doubleValue(),
                                perplexity.doubleValue(),
                                entry.get("step")));
                return;
            }
        }
    }
}
