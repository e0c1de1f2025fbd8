package org.qlora4j.config;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.optim.LrSchedulerType;
import org.qlora4j.optim.OptimType;

/**
 * Sets keys of the section {@code train}. What each means stands at the component of {@link
 * TrainConfig} that has its name.
 */
public final class TrainKeys {
    private final SectionValues values;

    TrainKeys(SectionValues values) {
        this.values = values;
    }

    private TrainKeys set(String key, @Nullable Object value) {
        values.put(key, value);
        return this;
    }

    public TrainKeys outputDir(Path folder) {
        return set("output_dir", folder.toString());
    }

    public TrainKeys fullFinetune(boolean fullFinetune) {
        return set("full_finetune", fullFinetune);
    }

    public TrainKeys maxSteps(@Nullable Integer maxSteps) {
        return set("max_steps", maxSteps);
    }

    public TrainKeys numTrainEpochs(@Nullable Double numTrainEpochs) {
        return set("num_train_epochs", numTrainEpochs);
    }

    public TrainKeys perDeviceTrainBatchSize(int perDeviceTrainBatchSize) {
        return set("per_device_train_batch_size", perDeviceTrainBatchSize);
    }

    public TrainKeys gradientAccumulationSteps(int gradientAccumulationSteps) {
        return set("gradient_accumulation_steps", gradientAccumulationSteps);
    }

    public TrainKeys learningRate(@Nullable Double learningRate) {
        return set("learning_rate", learningRate);
    }

    public TrainKeys lrSchedulerType(LrSchedulerType lrSchedulerType) {
        return set("lr_scheduler_type", lrSchedulerType);
    }

    public TrainKeys lrSchedulerKwargs(Map<String, ?> kwargs) {
        return set("lr_scheduler_kwargs", kwargs);
    }

    public TrainKeys warmupRatio(double warmupRatio) {
        return set("warmup_ratio", warmupRatio);
    }

    public TrainKeys warmupSteps(int warmupSteps) {
        return set("warmup_steps", warmupSteps);
    }

    public TrainKeys optim(OptimType optim) {
        return set("optim", optim);
    }

    public TrainKeys loraplusLrRatio(@Nullable Double loraplusLrRatio) {
        return set("loraplus_lr_ratio", loraplusLrRatio);
    }

    public TrainKeys weightDecay(double weightDecay) {
        return set("weight_decay", weightDecay);
    }

    public TrainKeys adamBeta1(double adamBeta1) {
        return set("adam_beta1", adamBeta1);
    }

    public TrainKeys adamBeta2(double adamBeta2) {
        return set("adam_beta2", adamBeta2);
    }

    public TrainKeys adamEpsilon(double adamEpsilon) {
        return set("adam_epsilon", adamEpsilon);
    }

    public TrainKeys maxGradNorm(double maxGradNorm) {
        return set("max_grad_norm", maxGradNorm);
    }

    public TrainKeys gradientCheckpointing(boolean gradientCheckpointing) {
        return set("gradient_checkpointing", gradientCheckpointing);
    }

    public TrainKeys seed(long seed) {
        return set("seed", seed);
    }

    public TrainKeys dataSeed(@Nullable Long dataSeed) {
        return set("data_seed", dataSeed);
    }

    public TrainKeys loggingSteps(int loggingSteps) {
        return set("logging_steps", loggingSteps);
    }

    public TrainKeys saveSteps(int saveSteps) {
        return set("save_steps", saveSteps);
    }

    public TrainKeys saveTotalLimit(int saveTotalLimit) {
        return set("save_total_limit", saveTotalLimit);
    }

    public TrainKeys threads(int threads) {
        return set("threads", threads);
    }

    public TrainKeys ddpTimeout(int ddpTimeout) {
        return set("ddp_timeout", ddpTimeout);
    }

    public TrainKeys pipelineParallelSize(int pipelineParallelSize) {
        return set("pipeline_parallel_size", pipelineParallelSize);
    }

    public TrainKeys samplePrompt(List<String> samplePrompt) {
        return set("sample_prompt", samplePrompt);
    }

    public TrainKeys samplePrompt(String... samplePrompt) {
        return set("sample_prompt", List.of(samplePrompt));
    }

    public TrainKeys sampleMaxNewTokens(int sampleMaxNewTokens) {
        return set("sample_max_new_tokens", sampleMaxNewTokens);
    }

    public TrainKeys sampleSteps(int sampleSteps) {
        return set("sample_steps", sampleSteps);
    }

    public TrainKeys reportTo(List<ReportKind> reportTo) {
        return set("report_to", reportTo);
    }
}
