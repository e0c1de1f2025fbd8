package org.qlora4j.config;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Sets keys of the section {@code eval}. What each means stands at the component of {@link
 * EvalConfig} that has its name.
 */
public final class EvalKeys {
    private final SectionValues values;

    EvalKeys(SectionValues values) {
        this.values = values;
    }

    private EvalKeys set(String key, @Nullable Object value) {
        values.put(key, value);
        return this;
    }

    public EvalKeys evalStrategy(EvalStrategy evalStrategy) {
        return set("eval_strategy", evalStrategy);
    }

    public EvalKeys evalSteps(@Nullable Integer evalSteps) {
        return set("eval_steps", evalSteps);
    }

    public EvalKeys evalOnStart(boolean evalOnStart) {
        return set("eval_on_start", evalOnStart);
    }

    public EvalKeys doEval(boolean doEval) {
        return set("do_eval", doEval);
    }

    public EvalKeys predictWithGenerate(boolean predictWithGenerate) {
        return set("predict_with_generate", predictWithGenerate);
    }

    public EvalKeys perDeviceEvalBatchSize(int perDeviceEvalBatchSize) {
        return set("per_device_eval_batch_size", perDeviceEvalBatchSize);
    }

    public EvalKeys loadBestModelAtEnd(boolean loadBestModelAtEnd) {
        return set("load_best_model_at_end", loadBestModelAtEnd);
    }

    public EvalKeys metricForBestModel(EvalMetric metricForBestModel) {
        return set("metric_for_best_model", metricForBestModel);
    }

    public EvalKeys greaterIsBetter(@Nullable Boolean greaterIsBetter) {
        return set("greater_is_better", greaterIsBetter);
    }

    public EvalKeys earlyStoppingPatience(int earlyStoppingPatience) {
        return set("early_stopping_patience", earlyStoppingPatience);
    }

    public EvalKeys earlyStoppingThreshold(double earlyStoppingThreshold) {
        return set("early_stopping_threshold", earlyStoppingThreshold);
    }

    public EvalKeys tasks(List<String> tasks) {
        return set("tasks", tasks);
    }

    public EvalKeys tasks(String... tasks) {
        return set("tasks", List.of(tasks));
    }

    public EvalKeys tasksLimit(double tasksLimit) {
        return set("tasks_limit", tasksLimit);
    }

    public EvalKeys tasksNumFewshot(@Nullable Integer tasksNumFewshot) {
        return set("tasks_num_fewshot", tasksNumFewshot);
    }
}
