package org.qlora4j.train;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The flags of qlora.py (artidoro/qlora at 7f4e95a) with their meaning here: those it declares,
 * then those it inherits from {@code Seq2SeqTrainingArguments} of transformers 4.31, which it pins,
 * with the newer names of a few.
 */
final class QloraFlagTable {
    private static final Set<String> NONE = Set.of();
    private static final Set<String> FALSE = Set.of("false");
    private static final Map<String, String> AS_IS = Map.of();

    private final Map<String, FlagMeaning> table = new LinkedHashMap<>();

    private QloraFlagTable() {}

    /** All flags without their dashes, in the order of qlora.py. */
    static final Map<String, FlagMeaning> FLAGS = build();

    private static Map<String, FlagMeaning> build() {
        var flags = new QloraFlagTable();
        flags.modelAndData();
        flags.training();
        flags.evaluation();
        flags.generation();
        flags.inheritedThatCount();
        flags.inheritedThatDoNot();
        return Collections.unmodifiableMap(flags.table);
    }

    private void modelAndData() {
        sets("model_name_or_path", "model.model_name_or_path");
        ignored("code that comes with a model is never run", FALSE, "trust_remote_code");
        ignored("the token of the Hugging Face hub is read from HF_TOKEN", FALSE, "use_auth_token");
        ignored(
                "the cache of the Hugging Face hub lies where HF_HUB_CACHE or HF_HOME says",
                NONE,
                "cache_dir");
        sets("max_train_samples", "data.max_train_samples");
        sets("source_max_len", "data.source_max_len");
        sets("target_max_len", "data.target_max_len");
        sets("dataset", "data.dataset");
        sets("dataset_format", "data.dataset_format");
        sets("train_on_source", "data.train_on_source");
        sets("group_by_length", "data.group_by_length");
    }

    private void training() {
        refused(
                "all weights are trained only by other tools; adapters are what is trained here",
                FALSE,
                "full_finetune");
        refused("the optimizer state is kept in 32 bits; leave the flag out", FALSE, "adam8bit");
        sets("double_quant", "quantization.bnb_4bit_use_double_quant");
        sets("quant_type", "quantization.bnb_4bit_quant_type");
        sets(
                "bits",
                "quantization.load_in_4bit",
                Map.of("4", "true", "16", "false", "32", "false"),
                "weights are held in 4 bits, or with 16 and 32 as in the checkpoint");
        sets("lora_r", "lora.r");
        sets("lora_alpha", "lora.lora_alpha");
        sets("lora_dropout", "lora.lora_dropout");
        // Not declared by qlora.py, which drops it unread; but its scripts pass it.
        sets(
                "lora_modules",
                "lora.target_modules",
                Map.of("all", "all-linear"),
                "qlora.py adapts all linear layers; choose others with the key lora.target_modules");
        ignored("memory is planned from what the device has", NONE, "max_memory_MB");
        ignored(
                "metrics are written to metrics.jsonl in the run folder",
                Set.of("none"),
                "report_to");
        sets("output_dir", "train.output_dir");
        sets("optim", "train.optim");
        sets("per_device_train_batch_size", "train.per_device_train_batch_size");
        sets("gradient_accumulation_steps", "train.gradient_accumulation_steps");
        sets("max_steps", "train.max_steps", Map.of("-1", "null"), null);
        sets("weight_decay", "train.weight_decay");
        sets("learning_rate", "train.learning_rate");
        ignored(
                "fields of the data that are not needed are never loaded",
                FALSE,
                "remove_unused_columns");
        sets("max_grad_norm", "train.max_grad_norm");
        sets("gradient_checkpointing", "train.gradient_checkpointing");
        refused("this command trains; leave the flag out", Set.of("true"), "do_train");
        sets("lr_scheduler_type", "train.lr_scheduler_type");
        sets("warmup_ratio", "train.warmup_ratio");
        sets("logging_steps", "train.logging_steps");
        refused(
                "checkpoints are counted in steps; set --save_steps, or 0 for the end only",
                Set.of("steps"),
                "save_strategy");
        sets("save_steps", "train.save_steps");
        sets("save_total_limit", "train.save_total_limit");
    }

    private void evaluation() {
        ignored(
                "training does not stop to evaluate, and trains on the rows that qlora.py would hold out",
                Set.of("false", "no"),
                "do_eval",
                "evaluation_strategy",
                "eval_strategy");
        ignored(
                "training does not stop to evaluate",
                NONE,
                "eval_dataset_size",
                "max_eval_samples",
                "per_device_eval_batch_size",
                "per_gpu_eval_batch_size",
                "eval_steps",
                "eval_delay",
                "eval_accumulation_steps",
                "prediction_loss_only",
                "include_inputs_for_metrics");
        ignored("training does not run MMLU", FALSE, "do_mmlu_eval");
        ignored(
                "training does not run MMLU",
                NONE,
                "mmlu_split",
                "mmlu_dataset",
                "max_mmlu_samples",
                "mmlu_source_max_len");
        ignored(
                "training predicts nothing but the answers to train.sample_prompt",
                FALSE,
                "do_predict",
                "predict_with_generate");
        refused(
                "without evaluation no checkpoint is the best; the last is kept",
                FALSE,
                "load_best_model_at_end");
        ignored(
                "training does not stop to evaluate",
                NONE,
                "metric_for_best_model",
                "greater_is_better");
    }

    private void generation() {
        sets("max_new_tokens", "train.sample_max_new_tokens");
        String greedy = "the answers to train.sample_prompt are always made greedily";
        ignored(greedy, Set.of("none", "0"), "min_new_tokens");
        ignored(greedy, FALSE, "do_sample");
        ignored(greedy, Set.of("1"), "num_beams", "num_beam_groups");
        ignored(greedy, Set.of("none"), "penalty_alpha");
        ignored("generation always keeps keys and values", Set.of("true"), "use_cache");
        ignored(
                greedy,
                Set.of("1.0", "1"),
                "temperature",
                "top_p",
                "typical_p",
                "repetition_penalty",
                "length_penalty");
        ignored(greedy, Set.of("50"), "top_k");
        ignored(greedy, Set.of("0.0", "0"), "diversity_penalty", "no_repeat_ngram_size");
        ignored(
                greedy,
                Set.of("none"),
                "generation_max_length",
                "generation_num_beams",
                "generation_config");
    }

    private void inheritedThatCount() {
        sets("num_train_epochs", "train.num_train_epochs");
        sets("adam_beta1", "train.adam_beta1");
        sets("adam_beta2", "train.adam_beta2");
        sets("adam_epsilon", "train.adam_epsilon");
        sets("warmup_steps", "train.warmup_steps");
        sets("seed", "train.seed");
        sets("data_seed", "train.data_seed");
        truth("bf16", "quantization.bnb_4bit_compute_dtype", "bfloat16", "float32");
        refused("float16 is not offered; use --bf16, or --bf16 False for float32", FALSE, "fp16");
        truth("no_cuda", "model.device", "cpu", "auto");
        truth("use_cpu", "model.device", "cpu", "auto");
        sets("per_gpu_train_batch_size", "train.per_device_train_batch_size");
        refused(
                "the loss has no label smoothing; leave the flag out",
                Set.of("0", "0.0"),
                "label_smoothing_factor");
        refused("choose an optimizer with --optim", FALSE, "adafactor");
        refused("optimizers take no further arguments here", Set.of("none"), "optim_args");
        refused(
                "the batch size is never changed silently; lower --per_device_train_batch_size",
                FALSE,
                "auto_find_batch_size");
        refused(
                "the last, smaller batch of an epoch is always trained on",
                FALSE,
                "dataloader_drop_last");
        refused(
                "a run folder is never overwritten; name another --output_dir",
                FALSE,
                "overwrite_output_dir");
        refused("a run is not continued by a flag of qlora.py", NONE, "resume_from_checkpoint");
        refused("a resumed run never trains on the same rows twice", FALSE, "ignore_data_skip");
        refused("batches follow --group_by_length alone", FALSE, "sortish_sampler");
        refused("nothing is sent to the Hugging Face hub", FALSE, "push_to_hub");
    }

    private void inheritedThatDoNot() {
        ignored(
                "metrics are written every --logging_steps steps",
                Set.of("steps"),
                "logging_strategy");
        ignored("metrics are written every --logging_steps steps", FALSE, "logging_first_step");
        ignored(
                "batches are made beside training without further processes",
                NONE,
                "dataloader_num_workers",
                "dataloader_pin_memory");
        ignored(
                "the log is chosen by the command's own flags",
                NONE,
                "log_level",
                "log_level_replica",
                "log_on_each_node",
                "disable_tqdm");
        ignored(
                "the run folder is the name and place of everything",
                NONE,
                "logging_dir",
                "run_name");
        ignored("a loss that is no number is always shown", NONE, "logging_nan_inf_filter");
        ignored("checkpoints are always safetensors", Set.of("true"), "save_safetensors");
        ignored("a run is always reproducible", NONE, "full_determinism");
        ignored("lengths are counted, not read", NONE, "length_column_name");
        ignored("the labels are made from the data", NONE, "label_names", "past_index");
        ignored(
                "nothing is sent to the Hugging Face hub",
                NONE,
                "hub_model_id",
                "hub_strategy",
                "hub_token",
                "hub_private_repo");
        ignored(
                "nothing is sent to the Hugging Face hub",
                NONE,
                "push_to_hub_model_id",
                "push_to_hub_organization",
                "push_to_hub_token");
        ignored(
                "processes and devices are set up by qlora4j",
                Set.of("-1", "none", "false", ""),
                "local_rank",
                "save_on_each_node",
                "ddp_backend",
                "ddp_find_unused_parameters",
                "ddp_bucket_cap_mb",
                "ddp_broadcast_buffers",
                "ddp_timeout",
                "sharded_ddp",
                "fsdp",
                "fsdp_min_num_params",
                "fsdp_config",
                "fsdp_transformer_layer_cls_to_wrap",
                "deepspeed",
                "mp_parameters",
                "ray_scope",
                "tpu_num_cores",
                "tpu_metrics_debug",
                "xpu_backend",
                "use_mps_device",
                "use_ipex");
        ignored(
                "kernels are chosen by qlora4j",
                Set.of("none", "false", ""),
                "tf32",
                "jit_mode_eval",
                "torchdynamo",
                "torch_compile",
                "torch_compile_backend",
                "torch_compile_mode",
                "debug",
                "skip_memory_metrics",
                "use_legacy_prediction_loop",
                "bf16_full_eval",
                "fp16_full_eval",
                "fp16_backend",
                "fp16_opt_level",
                "half_precision_backend");
    }

    private void sets(String flag, String key) {
        sets(flag, key, AS_IS, null);
    }

    private void truth(String flag, String key, String ifTrue, String ifFalse) {
        sets(flag, key, Map.of("true", ifTrue, "false", ifFalse), "it is either true or false");
    }

    private void sets(
            String flag, String key, Map<String, String> values, @Nullable String otherwise) {
        put(flag, new FlagMeaning.Sets(key, values, otherwise));
    }

    private void ignored(String reason, Set<String> silent, String... names) {
        for (String flag : names) {
            put(flag, new FlagMeaning.Ignored(reason, silent));
        }
    }

    private void refused(String reason, Set<String> harmless, String flag) {
        put(flag, new FlagMeaning.Refused(reason, harmless));
    }

    private void put(String flag, FlagMeaning meaning) {
        if (table.put(flag, meaning) != null) {
            throw new IllegalStateException("two meanings of --" + flag);
        }
    }
}
