package org.qlora4j.config;

import java.util.Map;
import java.util.Set;

/**
 * The flags of qlora.py (artidoro/qlora at 7f4e95a) with their meaning here: those it declares,
 * then those it inherits from {@code Seq2SeqTrainingArguments} of transformers 4.31, which it pins,
 * with the newer names of a few.
 */
final class QloraFlagTable {
    private static final Set<String> NONE = Set.of();
    private static final Set<String> FALSE = Set.of("false");

    private QloraFlagTable() {}

    /** All flags without their dashes, in the order of qlora.py. */
    static final Map<String, FlagMeaning> FLAGS = build();

    private static Map<String, FlagMeaning> build() {
        var flags = new FlagTableBuilder();
        addModelAndData(flags);
        addTraining(flags);
        addEvaluation(flags);
        addGeneration(flags);
        TrainerFlagTable.addTo(flags);
        return flags.build();
    }

    private static void addModelAndData(FlagTableBuilder flags) {
        flags.sets("model_name_or_path", "model.model_name_or_path");
        flags.ignored("code that comes with a model is never run", FALSE, "trust_remote_code");
        flags.ignored("the token of HF_TOKEN or of its file is used", FALSE, "use_auth_token");
        flags.ignored("HF_HUB_CACHE names the cache of the hub", NONE, "cache_dir");
        flags.sets("max_train_samples", "data.max_train_samples");
        flags.sets("max_eval_samples", "data.max_eval_samples");
        flags.sets("eval_dataset_size", "data.eval_dataset_size");
        flags.sets("source_max_len", "data.source_max_len");
        flags.sets("target_max_len", "data.target_max_len");
        flags.sets("dataset", "data.dataset");
        flags.sets("dataset_format", "data.dataset_format");
        flags.sets("train_on_source", "data.train_on_source");
        flags.sets("group_by_length", "data.group_by_length");
    }

    private static void addTraining(FlagTableBuilder flags) {
        flags.sets("full_finetune", "train.full_finetune");
        flags.refused(
                "qlora.py does not use this flag; choose an 8-bit optimizer with --optim",
                FALSE,
                "adam8bit");
        flags.sets("double_quant", "quantization.bnb_4bit_use_double_quant");
        flags.sets("quant_type", "quantization.bnb_4bit_quant_type");
        flags.sets(
                "bits",
                "quantization.load_in_4bit",
                Map.of("4", "true", "16", "false", "32", "false"),
                "weights are held in 4 bits, or with 16 and 32 as in the checkpoint; for 8 bits give quantization.load_in_8bit=true");
        flags.sets("lora_r", "lora.r");
        flags.sets("lora_alpha", "lora.lora_alpha");
        flags.sets("lora_dropout", "lora.lora_dropout");
        // Not declared by qlora.py, which drops it unread; but its scripts pass it.
        flags.sets(
                "lora_modules",
                "lora.target_modules",
                Map.of("all", "all-linear"),
                "qlora.py adapts all linear layers; choose others with the key lora.target_modules");
        flags.ignored("memory is planned from what the device has", NONE, "max_memory_MB");
        flags.sets(
                "report_to",
                "train.report_to",
                Map.of(
                        "none",
                        "[]",
                        "tensorboard",
                        "[html, tensorboard]",
                        "all",
                        "[html, png, tensorboard]"),
                "reports are html, png and tensorboard; use none, tensorboard or all");
        flags.sets("output_dir", "train.output_dir");
        flags.sets("optim", "train.optim");
        flags.sets("per_device_train_batch_size", "train.per_device_train_batch_size");
        flags.sets("gradient_accumulation_steps", "train.gradient_accumulation_steps");
        flags.sets("max_steps", "train.max_steps", Map.of("-1", "null"), null);
        flags.sets("weight_decay", "train.weight_decay");
        flags.sets("learning_rate", "train.learning_rate");
        flags.ignored(
                "fields of the data that are not needed are never loaded",
                FALSE,
                "remove_unused_columns");
        flags.sets("max_grad_norm", "train.max_grad_norm");
        flags.sets("gradient_checkpointing", "train.gradient_checkpointing");
        flags.refused("this command trains; leave the flag out", Set.of("true"), "do_train");
        flags.sets("lr_scheduler_type", "train.lr_scheduler_type");
        flags.sets("warmup_ratio", "train.warmup_ratio");
        flags.sets("logging_steps", "train.logging_steps");
        flags.refused(
                "checkpoints are counted in steps; set --save_steps, or 0 for the end only",
                Set.of("steps"),
                "save_strategy");
        flags.sets("save_steps", "train.save_steps");
        flags.sets("save_total_limit", "train.save_total_limit");
    }

    private static void addEvaluation(FlagTableBuilder flags) {
        flags.sets("do_eval", "eval.do_eval");
        flags.sets("evaluation_strategy", "eval.eval_strategy");
        flags.sets("eval_strategy", "eval.eval_strategy");
        flags.sets("per_device_eval_batch_size", "eval.per_device_eval_batch_size");
        flags.sets("per_gpu_eval_batch_size", "eval.per_device_eval_batch_size");
        flags.sets("eval_steps", "eval.eval_steps");
        flags.sets("load_best_model_at_end", "eval.load_best_model_at_end");
        flags.sets(
                "metric_for_best_model",
                "eval.metric_for_best_model",
                Map.of("loss", "eval_loss"),
                null);
        flags.sets("greater_is_better", "eval.greater_is_better");
        flags.ignored(
                "evaluation is of the loss alone, at the steps of --eval_steps",
                NONE,
                "eval_delay",
                "eval_accumulation_steps",
                "prediction_loss_only",
                "include_inputs_for_metrics");
        flags.ignored("training does not run MMLU", FALSE, "do_mmlu_eval");
        flags.ignored(
                "training does not run MMLU",
                NONE,
                "mmlu_split",
                "mmlu_dataset",
                "max_mmlu_samples",
                "mmlu_source_max_len");
        flags.sets("predict_with_generate", "eval.predict_with_generate");
        flags.ignored(
                "training predicts the held-out answers with --predict_with_generate",
                FALSE,
                "do_predict");
    }

    private static void addGeneration(FlagTableBuilder flags) {
        flags.sets("max_new_tokens", "train.sample_max_new_tokens");
        String greedy = "the answers to train.sample_prompt are always made greedily";
        flags.ignored(greedy, Set.of("none", "0"), "min_new_tokens");
        flags.ignored(greedy, FALSE, "do_sample");
        flags.ignored(greedy, Set.of("1"), "num_beams", "num_beam_groups");
        flags.ignored(greedy, Set.of("none"), "penalty_alpha");
        flags.ignored("generation always keeps keys and values", Set.of("true"), "use_cache");
        flags.ignored(
                greedy,
                Set.of("1.0", "1"),
                "temperature",
                "top_p",
                "typical_p",
                "repetition_penalty",
                "length_penalty");
        flags.ignored(greedy, Set.of("50"), "top_k");
        flags.ignored(greedy, Set.of("0.0", "0"), "diversity_penalty", "no_repeat_ngram_size");
        flags.ignored(
                greedy,
                Set.of("none"),
                "generation_max_length",
                "generation_num_beams",
                "generation_config");
    }
}
