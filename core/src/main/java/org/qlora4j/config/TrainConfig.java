package org.qlora4j.config;

import static org.qlora4j.error.Require.require;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.optim.LrSchedulerKwargs;
import org.qlora4j.optim.LrSchedulerType;
import org.qlora4j.optim.OptimConfig;
import org.qlora4j.optim.OptimType;

/**
 * The course of a training run: section {@code train} of the settings, with the keys of the Hugging
 * Face trainer and the defaults of qlora.py. A step is one update of the weights.
 *
 * @param outputDir the run folder
 * @param fullFinetune whether all weights of the model learn, instead of adapters on it
 * @param maxSteps steps to train; null where {@code numTrainEpochs} is given
 * @param numTrainEpochs passes over the data instead, above 0; null where {@code maxSteps} is
 *     given; where both are null the steps follow from the size of the data, see {@link
 *     #totalSteps}
 * @param perDeviceTrainBatchSize examples computed at once; at least 1
 * @param gradientAccumulationSteps such batches in one step; at least 1
 * @param learningRate step size, above 0; null chooses by the size of the model, see {@link
 *     #learningRateFor}
 * @param lrSchedulerType course of the learning rate
 * @param lrSchedulerKwargs what the course takes besides, such as a floor
 * @param warmupRatio share of the steps in which the learning rate rises from 0, in [0, 1]
 * @param warmupSteps the same as a number of steps; 0 uses {@code warmupRatio}
 * @param optim the optimizer
 * @param loraplusLrRatio how many times faster B learns than A; null where both learn alike
 * @param weightDecay share of the learning rate by which weights shrink each step; at least 0
 * @param adamBeta1 decay of the mean of gradients, in [0, 1)
 * @param adamBeta2 decay of the mean of squared gradients, in [0, 1)
 * @param adamEpsilon added to the root of the second mean; above 0
 * @param maxGradNorm gradients are scaled down to this norm; 0 leaves them as they are
 * @param gradientCheckpointing recompute activations in the backward pass instead of keeping them
 * @param seed of the adapters' start values, dropout and, unless {@code dataSeed} is given, order
 * @param dataSeed of the order of the examples; null uses {@code seed}
 * @param loggingSteps steps between two lines of metrics; at least 1
 * @param saveSteps steps between two checkpoints; 0 saves at the end only
 * @param saveTotalLimit checkpoints kept, the newest; 0 keeps all
 * @param threads CPU threads; 0 takes one a core
 * @param ddpTimeout seconds after which a process without a sign of life ends the run in all
 *     others, where several train together; at least 1
 * @param pipelineParallelSize processes over which the layers of one model are divided; at least 1
 * @param samplePrompt prompts answered by the base and by the finetuned model at the end
 * @param sampleMaxNewTokens longest such answer in tokens; at least 1
 * @param sampleSteps steps between two such rounds of answers; 0 answers at the end only
 * @param reportTo what shows the run, besides its metrics
 */
public record TrainConfig(
        @JsonProperty("output_dir")
                @JsonPropertyDescription("The run folder: settings, metrics, checkpoints.")
                String outputDir,
        @JsonProperty("full_finetune")
                @JsonPropertyDescription(
                        "Train all weights of the model, in 32 bits, instead of adapters; needs load_in_4bit false.")
                boolean fullFinetune,
        @JsonProperty("max_steps")
                @JsonPropertyDescription(
                        "Steps (updates of the weights) to train; without it and num_train_epochs the size of the"
                                + " data decides: 3 passes over it, up to 25 if that makes 100 steps, 10000 steps at"
                                + " most.")
                @Nullable Integer maxSteps,
        @JsonProperty("num_train_epochs")
                @JsonPropertyDescription("Passes over the data, instead of max_steps.")
                @Nullable Double numTrainEpochs,
        @JsonProperty("per_device_train_batch_size")
                @JsonPropertyDescription("Examples computed at once.")
                int perDeviceTrainBatchSize,
        @JsonProperty("gradient_accumulation_steps")
                @JsonPropertyDescription("Such batches in one step.")
                int gradientAccumulationSteps,
        @JsonProperty("learning_rate")
                @JsonPropertyDescription(
                        "Learning rate; null takes 2e-4, or 1e-4 for models above 13B parameters.")
                @Nullable Double learningRate,
        @JsonProperty("lr_scheduler_type")
                @JsonPropertyDescription("Course of the learning rate; constant has no warm-up.")
                LrSchedulerType lrSchedulerType,
        @JsonProperty("lr_scheduler_kwargs")
                @JsonPropertyDescription(
                        "What the schedule takes besides: cosine num_cycles; cosine_with_restarts num_cycles;"
                                + " cosine_with_min_lr num_cycles, min_lr or min_lr_rate; polynomial lr_end, power;"
                                + " inverse_sqrt timescale; warmup_stable_decay num_decay_steps, num_stable_steps,"
                                + " warmup_type, decay_type (linear, cosine, 1-sqrt), min_lr_ratio, num_cycles.")
                LrSchedulerKwargs lrSchedulerKwargs,
        @JsonProperty("warmup_ratio")
                @JsonPropertyDescription(
                        "Share of the steps in which the learning rate rises from 0.")
                double warmupRatio,
        @JsonProperty("warmup_steps")
                @JsonPropertyDescription(
                        "Steps in which the learning rate rises from 0; 0 uses warmup_ratio.")
                int warmupSteps,
        @JsonProperty("optim")
                @JsonPropertyDescription(
                        "The optimizer; 8bit holds its state in 8 bits, paged where the system may page it out.")
                OptimType optim,
        @JsonProperty("loraplus_lr_ratio")
                @JsonPropertyDescription(
                        "LoRA+: the learning rate of B (and of vectors) as a multiple of A's, e.g. 16; null for one"
                                + " rate.")
                @Nullable Double loraplusLrRatio,
        @JsonProperty("weight_decay") @JsonPropertyDescription("Weight decay of AdamW.")
                double weightDecay,
        @JsonProperty("adam_beta1") @JsonPropertyDescription("Decay of AdamW's mean of gradients.")
                double adamBeta1,
        @JsonProperty("adam_beta2")
                @JsonPropertyDescription("Decay of AdamW's mean of squared gradients.")
                double adamBeta2,
        @JsonProperty("adam_epsilon") @JsonPropertyDescription("Added to the root in AdamW's step.")
                double adamEpsilon,
        @JsonProperty("max_grad_norm")
                @JsonPropertyDescription("Gradients are scaled down to this norm; 0 leaves them.")
                double maxGradNorm,
        @JsonProperty("gradient_checkpointing")
                @JsonPropertyDescription(
                        "Recompute activations in the backward pass instead of keeping them.")
                boolean gradientCheckpointing,
        @JsonProperty("seed")
                @JsonPropertyDescription(
                        "Seed of start values, dropout and, without data_seed, order.")
                long seed,
        @JsonProperty("data_seed")
                @JsonPropertyDescription("Seed of the order of the examples; null uses seed.")
                @Nullable Long dataSeed,
        @JsonProperty("logging_steps")
                @JsonPropertyDescription("Steps between two lines of metrics.")
                int loggingSteps,
        @JsonProperty("save_steps")
                @JsonPropertyDescription("Steps between two checkpoints; 0 saves at the end only.")
                int saveSteps,
        @JsonProperty("save_total_limit")
                @JsonPropertyDescription("Checkpoints kept, the newest; 0 keeps all.")
                int saveTotalLimit,
        @JsonProperty("threads") @JsonPropertyDescription("CPU threads; 0 takes one a core.")
                int threads,
        @JsonProperty("ddp_timeout")
                @JsonPropertyDescription(
                        "Where several processes train together: seconds without a sign of life after which a process"
                                + " is given up and the run ends in all others.")
                int ddpTimeout,
        @JsonProperty("pipeline_parallel_size")
                @JsonPropertyDescription(
                        "Processes over which the layers of one model are divided, each holding a stage of them; 1 holds"
                                + " the whole model in each.")
                int pipelineParallelSize,
        @JsonProperty("sample_prompt")
                @JsonPropertyDescription(
                        "Prompts answered by the base and by the finetuned model at the end.")
                List<String> samplePrompt,
        @JsonProperty("sample_max_new_tokens")
                @JsonPropertyDescription("Longest such answer, in tokens.")
                int sampleMaxNewTokens,
        @JsonProperty("sample_steps")
                @JsonPropertyDescription(
                        "Steps between two rounds of answers to the sample prompts; 0 answers at the end only.")
                int sampleSteps,
        @JsonProperty("report_to")
                @JsonPropertyDescription(
                        "What to write besides metrics.jsonl: report.html, curves as PNG, TensorBoard's event files.")
                List<ReportKind> reportTo) {
    /**
     * The defaults of qlora.py but for the number of steps, which {@link Preset#PAPER} sets; seed
     * 42 is that of the Hugging Face trainer below it.
     */
    public static final TrainConfig DEFAULT =
            new TrainConfig(
                    "output",
                    false,
                    null,
                    null,
                    1,
                    16,
                    null,
                    LrSchedulerType.CONSTANT,
                    LrSchedulerKwargs.NONE,
                    0.03,
                    0,
                    OptimConfig.DEFAULT.type(),
                    null,
                    OptimConfig.DEFAULT.weightDecay(),
                    OptimConfig.DEFAULT.beta1(),
                    OptimConfig.DEFAULT.beta2(),
                    OptimConfig.DEFAULT.epsilon(),
                    0.3,
                    true,
                    42,
                    null,
                    10,
                    250,
                    40,
                    0,
                    60,
                    1,
                    List.of(),
                    256,
                    0,
                    List.of(ReportKind.HTML));

    /**
     * Parameters up to which a model counts as 13B: LLaMA-13B has 13.016e9. The paper trains 7B and
     * 13B at 2e-4, 33B and 65B at 1e-4 (table 9), and nothing between.
     */
    static final long LARGEST_13B = 15_000_000_000L;

    private static final int USUAL_PASSES = 3; // Stanford Alpaca's; the paper's OASST1 run: 3.3
    private static final int FEW_STEPS = 100;
    private static final int MOST_PASSES = 25;

    /** With fewer pieces for each stage, stages wait for long. */
    private static final int PIECES = 4;

    public TrainConfig {
        require(!outputDir.isBlank(), "train.output_dir must name a folder, got an empty text");
        require(isPath(outputDir), "train.output_dir must name a folder, got %s", outputDir);
        require(
                maxSteps == null || maxSteps >= 1,
                "train.max_steps must be at least 1, got %s; leave it out to train by num_train_epochs or by the size of the data",
                String.valueOf(maxSteps));
        require(
                numTrainEpochs == null || (numTrainEpochs > 0 && Double.isFinite(numTrainEpochs)),
                "train.num_train_epochs must be above 0, got %s",
                String.valueOf(numTrainEpochs));
        require(
                perDeviceTrainBatchSize >= 1,
                "train.per_device_train_batch_size must be at least 1, got %d",
                perDeviceTrainBatchSize);
        require(
                gradientAccumulationSteps >= 1,
                "train.gradient_accumulation_steps must be at least 1, got %d",
                gradientAccumulationSteps);
        require(
                learningRate == null || (learningRate > 0 && Double.isFinite(learningRate)),
                "train.learning_rate must be above 0, got %s",
                String.valueOf(learningRate));
        require(
                warmupRatio >= 0 && warmupRatio <= 1,
                "train.warmup_ratio must be in [0, 1], got %s",
                warmupRatio);
        lrSchedulerKwargs.requireFitting(lrSchedulerType);
        require(warmupSteps >= 0, "train.warmup_steps must be at least 0, got %d", warmupSteps);
        new OptimConfig(optim, adamBeta1, adamBeta2, adamEpsilon, weightDecay); // for its checks
        require(
                loraplusLrRatio == null
                        || (loraplusLrRatio >= 1 && Double.isFinite(loraplusLrRatio)),
                "train.loraplus_lr_ratio must be at least 1, got %s",
                String.valueOf(loraplusLrRatio));
        require(
                maxGradNorm >= 0 && Double.isFinite(maxGradNorm),
                "train.max_grad_norm must be at least 0, got %s",
                maxGradNorm);
        require(loggingSteps >= 1, "train.logging_steps must be at least 1, got %d", loggingSteps);
        require(saveSteps >= 0, "train.save_steps must be at least 0, got %d", saveSteps);
        require(
                saveTotalLimit >= 0,
                "train.save_total_limit must be at least 0, got %d",
                saveTotalLimit);
        require(threads >= 0, "train.threads must be at least 0, got %d", threads);
        require(ddpTimeout >= 1, "train.ddp_timeout must be at least 1, got %d", ddpTimeout);
        require(
                pipelineParallelSize >= 1,
                "train.pipeline_parallel_size must be at least 1, got %d",
                pipelineParallelSize);
        for (String prompt : samplePrompt) {
            require(
                    !prompt.isBlank(),
                    "train.sample_prompt must hold prompts, got an empty text among them");
        }
        require(
                sampleMaxNewTokens >= 1,
                "train.sample_max_new_tokens must be at least 1, got %d",
                sampleMaxNewTokens);
        require(
                maxSteps == null || numTrainEpochs == null,
                "train.num_train_epochs must not stand beside train.max_steps, got %s and %s; leave one out",
                String.valueOf(numTrainEpochs),
                String.valueOf(maxSteps));
        require(
                warmupSteps == 0 || lrSchedulerType != LrSchedulerType.CONSTANT,
                "train.warmup_steps must be 0 with train.lr_scheduler_type constant, got %d; use constant_with_warmup",
                warmupSteps);
        require(
                maxSteps == null || warmupSteps <= maxSteps,
                "train.warmup_steps must be at most train.max_steps %s, got %d",
                String.valueOf(maxSteps),
                warmupSteps);
        require(sampleSteps >= 0, "train.sample_steps must be at least 0, got %d", sampleSteps);
        samplePrompt = List.copyOf(samplePrompt);
        reportTo = List.copyOf(reportTo);
    }

    private static boolean isPath(String text) {
        try {
            return !Path.of(text).toString().isEmpty();
        } catch (InvalidPathException e) {
            return false;
        }
    }

    /** The run folder. */
    public Path outputPath() {
        return Path.of(outputDir);
    }

    /** The optimizer with its constants. */
    public OptimConfig optimizer() {
        return new OptimConfig(optim, adamBeta1, adamBeta2, adamEpsilon, weightDecay);
    }

    /**
     * The learning rate given, else the paper's for a model of this size (table 9).
     *
     * @param baseParameters weights of the base model, counted before they are quantized
     */
    public double learningRateFor(long baseParameters) {
        if (learningRate != null) {
            return learningRate;
        }
        return baseParameters > LARGEST_13B ? 1e-4 : 2e-4;
    }

    /**
     * Steps of a run: those given, or those of the epochs given, rounded up. Where neither is given
     * they are {@value #USUAL_PASSES} passes over the data; as many passes as make {@value
     * #FEW_STEPS} steps, {@value #MOST_PASSES} at most, where those would be fewer; and never more
     * than {@link Preset#PAPER_STEPS}.
     */
    public int totalSteps(int stepsPerEpoch) {
        if (maxSteps != null) {
            return maxSteps;
        }
        if (numTrainEpochs != null) {
            return (int) Math.max(1, Math.ceil(numTrainEpochs * stepsPerEpoch));
        }
        int passes = Math.clamp(Math.ceilDiv(FEW_STEPS, stepsPerEpoch), USUAL_PASSES, MOST_PASSES);
        return (int) Math.min(Preset.PAPER_STEPS, (long) passes * stepsPerEpoch);
    }

    /** Whether neither steps nor epochs are given, so that the data decides. */
    public boolean stepsFollowData() {
        return maxSteps == null && numTrainEpochs == null;
    }

    /** Whether a checkpoint is due after so many steps. */
    public boolean saves(long step) {
        return saveSteps > 0 && step % saveSteps == 0;
    }

    /** Whether a step leaves a line in the metrics: the first, the last, and each so many. */
    public boolean logs(long step, long totalSteps) {
        return step % loggingSteps == 0 || step == totalSteps || step == 1;
    }

    /**
     * Steps of warm-up in a run of so many steps; the ratio rounds up, as in the Hugging Face
     * trainer.
     */
    public int warmupStepsOf(int totalSteps) {
        return warmupSteps > 0 ? warmupSteps : (int) Math.ceil(totalSteps * warmupRatio);
    }

    /** How long a process of several may give no sign of life. */
    public Duration silence() {
        return Duration.ofSeconds(ddpTimeout);
    }

    /**
     * Most rows that a process computes at once: those of a micro-batch, or of a piece of one where
     * the model is divided, so that a step has {@value #PIECES} pieces for each stage.
     *
     * @param groups of processes with a model each
     */
    public int rowsAtOnce(int groups) {
        if (pipelineParallelSize == 1) {
            return perDeviceTrainBatchSize;
        }
        long rows = (long) perDeviceTrainBatchSize * gradientAccumulationSteps / groups;
        return Math.clamp(rows / PIECES / pipelineParallelSize, 1, perDeviceTrainBatchSize);
    }

    /** Seed of the order of the examples. */
    public long orderSeed() {
        return dataSeed == null ? seed : dataSeed;
    }
}
