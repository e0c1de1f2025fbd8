package org.qlora4j.config;

import java.util.Set;

/**
 * The flags that qlora.py inherits from {@code Seq2SeqTrainingArguments} of transformers 4.31,
 * which it pins, with the newer names of a few; without those that are about evaluation and
 * generation, which stand in {@link QloraFlagTable}.
 */
final class TrainerFlagTable {
    private static final Set<String> NONE = Set.of();
    private static final Set<String> FALSE = Set.of("false");

    private TrainerFlagTable() {}

    static void addTo(FlagTableBuilder flags) {
        addThoseThatCount(flags);
        addThoseThatDoNot(flags);
    }

    private static void addThoseThatCount(FlagTableBuilder flags) {
        flags.sets("num_train_epochs", "train.num_train_epochs");
        flags.sets("adam_beta1", "train.adam_beta1");
        flags.sets("adam_beta2", "train.adam_beta2");
        flags.sets("adam_epsilon", "train.adam_epsilon");
        flags.sets("warmup_steps", "train.warmup_steps");
        flags.sets("lr_scheduler_kwargs", "train.lr_scheduler_kwargs");
        flags.sets("seed", "train.seed");
        flags.sets("data_seed", "train.data_seed");
        flags.sets("ddp_timeout", "train.ddp_timeout");
        flags.truth("bf16", "quantization.bnb_4bit_compute_dtype", "bfloat16", "float32");
        flags.refused(
                "float16 is not offered; use --bf16, or --bf16 False for float32", FALSE, "fp16");
        flags.truth("no_cuda", "model.device", "cpu", "auto");
        flags.truth("use_cpu", "model.device", "cpu", "auto");
        flags.sets("per_gpu_train_batch_size", "train.per_device_train_batch_size");
        flags.refused(
                "the loss has no label smoothing; leave the flag out",
                Set.of("0", "0.0"),
                "label_smoothing_factor");
        flags.refused("choose an optimizer with --optim", FALSE, "adafactor");
        flags.refused("optimizers take no further arguments here", Set.of("none"), "optim_args");
        flags.refused(
                "the batch size is never changed silently; lower --per_device_train_batch_size",
                FALSE,
                "auto_find_batch_size");
        flags.refused(
                "the last, smaller batch of an epoch is always trained on",
                FALSE,
                "dataloader_drop_last");
        flags.refused(
                "a run folder is never overwritten; name another --output_dir",
                FALSE,
                "overwrite_output_dir");
        flags.refused(
                "a run is not continued by a flag of qlora.py", NONE, "resume_from_checkpoint");
        flags.refused(
                "a resumed run never trains on the same rows twice", FALSE, "ignore_data_skip");
        flags.refused("batches follow --group_by_length alone", FALSE, "sortish_sampler");
        flags.refused("nothing is sent to the Hugging Face hub", FALSE, "push_to_hub");
    }

    private static void addThoseThatDoNot(FlagTableBuilder flags) {
        flags.ignored(
                "metrics are written every --logging_steps steps",
                Set.of("steps"),
                "logging_strategy");
        flags.ignored(
                "metrics are written every --logging_steps steps", FALSE, "logging_first_step");
        flags.ignored(
                "batches are made beside training without further processes",
                NONE,
                "dataloader_num_workers",
                "dataloader_pin_memory");
        flags.ignored(
                "the log is chosen by the command's own flags",
                NONE,
                "log_level",
                "log_level_replica",
                "log_on_each_node",
                "disable_tqdm");
        flags.ignored(
                "the run folder is the name and place of everything",
                NONE,
                "logging_dir",
                "run_name");
        flags.ignored("a loss that is no number is always shown", NONE, "logging_nan_inf_filter");
        flags.ignored("checkpoints are always safetensors", Set.of("true"), "save_safetensors");
        flags.ignored("a run is always reproducible", NONE, "full_determinism");
        flags.ignored("lengths are counted, not read", NONE, "length_column_name");
        flags.ignored("the labels are made from the data", NONE, "label_names", "past_index");
        flags.ignored(
                "nothing is sent to the Hugging Face hub",
                NONE,
                "hub_model_id",
                "hub_strategy",
                "hub_token",
                "hub_private_repo");
        flags.ignored(
                "nothing is sent to the Hugging Face hub",
                NONE,
                "push_to_hub_model_id",
                "push_to_hub_organization",
                "push_to_hub_token");
        flags.ignored(
                "processes and devices are set up by qlora4j",
                Set.of("-1", "none", "false", ""),
                "local_rank",
                "save_on_each_node",
                "ddp_backend",
                "ddp_find_unused_parameters",
                "ddp_bucket_cap_mb",
                "ddp_broadcast_buffers",
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
        flags.ignored(
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
}
