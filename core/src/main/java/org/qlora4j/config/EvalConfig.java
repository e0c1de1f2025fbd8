package org.qlora4j.config;

import static org.qlora4j.error.Require.require;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How a run evaluates on held-out examples and what follows from it: section {@code eval} of the
 * settings, with the keys of the Hugging Face trainer. The examples themselves are named in section
 * {@code data}.
 *
 * @param evalStrategy when to evaluate
 * @param evalSteps steps between two evaluations, at least 1; null takes {@code
 *     train.logging_steps}
 * @param evalOnStart evaluate before the first step too
 * @param doEval evaluate at the end, even where the strategy is {@code no}
 * @param predictWithGenerate answer the held-out examples at each evaluation, and at the end with
 *     the base too, and compare the answers with those expected
 * @param perDeviceEvalBatchSize examples computed at once; at least 1
 * @param loadBestModelAtEnd keep the checkpoint of the best evaluation and end with it
 * @param metricForBestModel what best means
 * @param greaterIsBetter what the metric says itself, or null for the same
 * @param earlyStoppingPatience end the run after so many evaluations without a gain; 0 never does
 * @param earlyStoppingThreshold a gain up to this much counts as none; at least 0
 * @param tasks evaluation tasks that are asked at each evaluation: names, or task files
 * @param tasksLimit documents of each task, from the first; below 1 a share, 0 for all
 * @param tasksNumFewshot examples before each document; null leaves it to the task
 */
public record EvalConfig(
        @JsonProperty("eval_strategy")
                @JsonPropertyDescription("When to evaluate on the held-out examples.")
                EvalStrategy evalStrategy,
        @JsonProperty("eval_steps")
                @JsonPropertyDescription(
                        "Steps between two evaluations with eval_strategy steps; null takes train.logging_steps.")
                @Nullable Integer evalSteps,
        @JsonProperty("eval_on_start")
                @JsonPropertyDescription("Evaluate before the first step too.")
                boolean evalOnStart,
        @JsonProperty("do_eval")
                @JsonPropertyDescription(
                        "Evaluate at the end; a run with an eval_strategy always does.")
                boolean doEval,
        @JsonProperty("predict_with_generate")
                @JsonPropertyDescription(
                        "Answer the held-out examples at each evaluation (ROUGE-L and exact match, in percent), and at the end by the"
                                + " base model too.")
                boolean predictWithGenerate,
        @JsonProperty("per_device_eval_batch_size")
                @JsonPropertyDescription("Held-out examples computed at once.")
                int perDeviceEvalBatchSize,
        @JsonProperty("load_best_model_at_end")
                @JsonPropertyDescription(
                        "Save a checkpoint at each best evaluation, never delete it, and end the run with it.")
                boolean loadBestModelAtEnd,
        @JsonProperty("metric_for_best_model")
                @JsonPropertyDescription(
                        "What best means; accuracy, f1 and correlations are those of models that classify, rougeL and exact_match need"
                                + " predict_with_generate.")
                EvalMetric metricForBestModel,
        @JsonProperty("greater_is_better")
                @JsonPropertyDescription(
                        "False for loss and perplexity, true for all others; null for that.")
                @Nullable Boolean greaterIsBetter,
        @JsonProperty("early_stopping_patience")
                @JsonPropertyDescription(
                        "End the run after so many evaluations without a gain; 0 never does.")
                int earlyStoppingPatience,
        @JsonProperty("early_stopping_threshold")
                @JsonPropertyDescription("A gain up to this much counts as none.")
                double earlyStoppingThreshold,
        @JsonProperty("tasks")
                @JsonPropertyDescription(
                        "Evaluation tasks asked at each evaluation, such as mmlu, or task files, as for qlora eval tasks.")
                List<String> tasks,
        @JsonProperty("tasks_limit")
                @JsonPropertyDescription(
                        "Documents of each task, from the first; below 1 a share of them, 0 for all.")
                double tasksLimit,
        @JsonProperty("tasks_num_fewshot")
                @JsonPropertyDescription(
                        "Examples before each document; null leaves it to the task.")
                @Nullable Integer tasksNumFewshot) {
    /** No evaluation, as in qlora.py; the batch size is that of the Hugging Face trainer. */
    public static final EvalConfig DEFAULT =
            new EvalConfig(
                    EvalStrategy.NO,
                    null,
                    false,
                    false,
                    false,
                    8,
                    false,
                    EvalMetric.EVAL_LOSS,
                    null,
                    0,
                    0,
                    List.of(),
                    0,
                    null);

    public EvalConfig {
        require(
                evalSteps == null || evalSteps >= 1,
                "eval.eval_steps must be at least 1, got %s",
                String.valueOf(evalSteps));
        require(
                perDeviceEvalBatchSize >= 1,
                "eval.per_device_eval_batch_size must be at least 1, got %d",
                perDeviceEvalBatchSize);
        require(
                greaterIsBetter == null || greaterIsBetter == metricForBestModel.isGreaterBetter(),
                "eval.greater_is_better must be %s or null for this metric, got %s: of loss and perplexity the smaller is better, of all others"
                        + " the greater",
                metricForBestModel.isGreaterBetter(),
                String.valueOf(greaterIsBetter));
        require(
                earlyStoppingPatience >= 0,
                "eval.early_stopping_patience must be at least 0, got %d",
                earlyStoppingPatience);
        require(
                earlyStoppingThreshold >= 0 && Double.isFinite(earlyStoppingThreshold),
                "eval.early_stopping_threshold must be at least 0, got %s",
                earlyStoppingThreshold);
        tasks = List.copyOf(tasks);
        require(
                tasksLimit >= 0 && Double.isFinite(tasksLimit),
                "eval.tasks_limit must be at least 0, got %s",
                tasksLimit);
        require(
                tasksNumFewshot == null || tasksNumFewshot >= 0,
                "eval.tasks_num_fewshot must be at least 0, got %s",
                String.valueOf(tasksNumFewshot));
        require(
                tasks.isEmpty() || evalStrategy != EvalStrategy.NO || doEval,
                "eval.tasks are asked at evaluations, and there are none; set eval.eval_strategy to steps or epoch, or eval.do_eval to true");
        boolean never = evalStrategy == EvalStrategy.NO;
        require(
                !never || !loadBestModelAtEnd,
                "eval.load_best_model_at_end must be false with eval.eval_strategy no; use steps or epoch");
        require(
                !never || earlyStoppingPatience == 0,
                "eval.early_stopping_patience must be 0 with eval.eval_strategy no, got %d; use steps or epoch",
                earlyStoppingPatience);
        require(
                !never || !evalOnStart,
                "eval.eval_on_start must be false with eval.eval_strategy no; use steps or epoch");
    }

    /** Whether the run evaluates at all. */
    public boolean enabled() {
        return evalStrategy != EvalStrategy.NO || doEval;
    }

    /** Whether to evaluate after so many steps of a run; 0 is before the first. */
    public boolean isDue(long step, long totalSteps, int stepsPerEpoch, int loggingSteps) {
        if (step == 0) {
            return evalOnStart;
        }
        return (step == totalSteps && enabled())
                || switch (evalStrategy) {
                    case NO -> false;
                    case STEPS -> step % (evalSteps == null ? loggingSteps : evalSteps) == 0;
                    case EPOCH -> step % stepsPerEpoch == 0;
                };
    }
}
