package org.qlora4j.config;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Map.Entry;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.Nearest;

/**
 * Finds what the writer of an unknown key may have meant: another tool's name for it, another
 * section, a slip.
 */
final class KeyHints {
    private KeyHints() {}

    /**
     * Names of the same settings in PEFT, transformers, qlora.py, axolotl, TRL and litgpt, without
     * their section.
     */
    private static final Map<String, String> ALIASES =
            Map.ofEntries(
                    Map.entry("model", "model.model_name_or_path"),
                    Map.entry("model_name", "model.model_name_or_path"),
                    Map.entry("name_or_path", "model.model_name_or_path"),
                    Map.entry("base_model", "model.model_name_or_path"),
                    Map.entry("base_model_name_or_path", "model.model_name_or_path"),
                    Map.entry("model_id", "model.model_name_or_path"),
                    Map.entry("model_path", "model.model_name_or_path"),
                    Map.entry("use_cpu", "model.device"),
                    Map.entry("no_cuda", "model.device"),
                    Map.entry("device_map", "model.device"),
                    Map.entry("bits", "quantization.load_in_4bit"),
                    Map.entry("quant_type", "quantization.bnb_4bit_quant_type"),
                    Map.entry("double_quant", "quantization.bnb_4bit_use_double_quant"),
                    Map.entry("blocksize", "quantization.bnb_4bit_blocksize"),
                    Map.entry("block_size", "quantization.bnb_4bit_blocksize"),
                    Map.entry("compute_dtype", "quantization.bnb_4bit_compute_dtype"),
                    Map.entry("dtype", "quantization.bnb_4bit_compute_dtype"),
                    Map.entry("torch_dtype", "quantization.bnb_4bit_compute_dtype"),
                    Map.entry("precision", "quantization.bnb_4bit_compute_dtype"),
                    Map.entry("bf16", "quantization.bnb_4bit_compute_dtype"),
                    Map.entry("rank", "lora.r"),
                    Map.entry("lora_r", "lora.r"),
                    Map.entry("lora_rank", "lora.r"),
                    Map.entry("alpha", "lora.lora_alpha"),
                    Map.entry("dropout", "lora.lora_dropout"),
                    Map.entry("targets", "lora.target_modules"),
                    Map.entry("lora_modules", "lora.target_modules"),
                    Map.entry("lora_target_modules", "lora.target_modules"),
                    Map.entry("lora_target_linear", "lora.target_modules"),
                    Map.entry("layers", "lora.layers_to_transform"),
                    Map.entry("init", "lora.init_lora_weights"),
                    Map.entry("dataset_name", "data.dataset"),
                    Map.entry("datasets", "data.dataset"),
                    Map.entry("data_path", "data.dataset"),
                    Map.entry("train_file", "data.dataset"),
                    Map.entry("val_file", "data.eval_dataset"),
                    Map.entry("validation_file", "data.eval_dataset"),
                    Map.entry("test_datasets", "data.eval_dataset"),
                    Map.entry("val_set_size", "data.eval_dataset_size"),
                    Map.entry("test_size", "data.eval_dataset_size"),
                    Map.entry("column_map", "data.columns"),
                    Map.entry("field_mapping", "data.columns"),
                    Map.entry("probabilities", "data.dataset"),
                    Map.entry("format", "data.dataset_format"),
                    Map.entry("max_samples", "data.max_train_samples"),
                    Map.entry("max_length", "data.source_max_len"),
                    Map.entry("max_seq_length", "data.source_max_len"),
                    Map.entry("sequence_len", "data.source_max_len"),
                    Map.entry("cutoff_len", "data.source_max_len"),
                    Map.entry("train_on_inputs", "data.train_on_source"),
                    Map.entry("template", "data.chat_template"),
                    Map.entry("chat_template_path", "data.chat_template"),
                    Map.entry("train_on_roles", "data.roles_to_train"),
                    Map.entry("train_on_last_turn", "data.mask_history"),
                    Map.entry("truncation_strategy", "data.truncation"),
                    Map.entry("out_dir", "train.output_dir"),
                    Map.entry("steps", "train.max_steps"),
                    Map.entry("epochs", "train.num_train_epochs"),
                    Map.entry("num_epochs", "train.num_train_epochs"),
                    Map.entry("batch_size", "train.per_device_train_batch_size"),
                    Map.entry("micro_batch_size", "train.per_device_train_batch_size"),
                    Map.entry("grad_accumulation", "train.gradient_accumulation_steps"),
                    Map.entry("gradient_accumulation", "train.gradient_accumulation_steps"),
                    Map.entry("lr", "train.learning_rate"),
                    Map.entry("lr_scheduler", "train.lr_scheduler_type"),
                    Map.entry("scheduler", "train.lr_scheduler_type"),
                    Map.entry("warmup", "train.warmup_steps"),
                    Map.entry("optimizer", "train.optim"),
                    Map.entry("beta1", "train.adam_beta1"),
                    Map.entry("beta2", "train.adam_beta2"),
                    Map.entry("eps", "train.adam_epsilon"),
                    Map.entry("epsilon", "train.adam_epsilon"),
                    Map.entry("clip", "train.max_grad_norm"),
                    Map.entry("grad_clip", "train.max_grad_norm"),
                    Map.entry("gradient_clipping", "train.max_grad_norm"),
                    Map.entry("checkpointing", "train.gradient_checkpointing"),
                    Map.entry("random_seed", "train.seed"),
                    Map.entry("log_steps", "train.logging_steps"),
                    Map.entry("evaluation_strategy", "eval.eval_strategy"),
                    Map.entry("eval_batch_size", "eval.per_device_eval_batch_size"),
                    Map.entry("evals_per_epoch", "eval.eval_strategy"),
                    Map.entry("patience", "eval.early_stopping_patience"),
                    Map.entry("early_stopping", "eval.early_stopping_patience"),
                    Map.entry("num_threads", "train.threads"),
                    Map.entry("max_new_tokens", "train.sample_max_new_tokens"),
                    Map.entry("sample_packing", "data.packing"),
                    Map.entry("neat_packing", "data.packing"),
                    Map.entry("val_size", "data.eval_dataset_size"),
                    Map.entry("validation_split", "data.eval_dataset_size"),
                    Map.entry("eval_split_size", "data.eval_dataset_size"),
                    Map.entry("lora_target", "lora.target_modules"),
                    Map.entry("finetuning_type", "train.full_finetune"),
                    Map.entry("fine_tune_type", "train.full_finetune"),
                    Map.entry("load_in_4_bit", "quantization.load_in_4bit"),
                    Map.entry("quantization_bit", "quantization.load_in_4bit"),
                    Map.entry("adapter", "quantization.load_in_4bit"),
                    Map.entry("pretrained_model_name_or_path", "model.model_name_or_path"),
                    Map.entry("dataset_path", "data.dataset"),
                    Map.entry("dataset_dir", "data.dataset"),
                    Map.entry("train_data", "data.dataset"),
                    Map.entry("train_dataset", "data.dataset"),
                    Map.entry("data", "data.dataset"),
                    Map.entry("eval_data", "data.eval_dataset"),
                    Map.entry("valid_file", "data.eval_dataset"),
                    Map.entry("dataset_prepared_path", "data.dataset"),
                    Map.entry("max_seq_len", "data.source_max_len"),
                    Map.entry("model_max_length", "data.source_max_len"),
                    Map.entry("seq_length", "data.source_max_len"),
                    Map.entry("seq_len", "data.source_max_len"),
                    Map.entry("train_on_prompt", "data.train_on_source"),
                    Map.entry("completion_only_loss", "data.train_on_source"),
                    Map.entry("assistant_only_loss", "data.roles_to_train"),
                    Map.entry("mask_prompt", "data.train_on_source"),
                    Map.entry("dataset_text_field", "data.columns"),
                    Map.entry("field_instruction", "data.columns"),
                    Map.entry("out", "train.output_dir"),
                    Map.entry("adapter_path", "train.output_dir"),
                    Map.entry("save_path", "train.output_dir"),
                    Map.entry("iters", "train.max_steps"),
                    Map.entry("num_iters", "train.max_steps"),
                    Map.entry("max_iters", "train.max_steps"),
                    Map.entry("max_step", "train.max_steps"),
                    Map.entry("num_steps", "train.max_steps"),
                    Map.entry("n_epochs", "train.num_train_epochs"),
                    Map.entry("num_train_epoch", "train.num_train_epochs"),
                    Map.entry("per_device_batch_size", "train.per_device_train_batch_size"),
                    Map.entry("train_batch_size", "train.per_device_train_batch_size"),
                    Map.entry("grad_accum", "train.gradient_accumulation_steps"),
                    Map.entry("grad_accumulation_steps", "train.gradient_accumulation_steps"),
                    Map.entry("accumulate_grad_batches", "train.gradient_accumulation_steps"),
                    Map.entry("grad_checkpoint", "train.gradient_checkpointing"),
                    Map.entry("use_gradient_checkpointing", "train.gradient_checkpointing"),
                    Map.entry("lr_schedule", "train.lr_scheduler_type"),
                    Map.entry("steps_per_report", "train.logging_steps"),
                    Map.entry("steps_per_eval", "eval.eval_steps"),
                    Map.entry("save_every", "train.save_steps"),
                    Map.entry("saves_per_epoch", "train.save_steps"),
                    Map.entry("val_batches", "data.max_eval_samples"),
                    Map.entry("num_layers", "lora.layers_to_transform"),
                    Map.entry("lora_layers", "lora.layers_to_transform"),
                    Map.entry("n_threads", "train.threads"),
                    Map.entry("scale", "lora.lora_alpha"),
                    Map.entry("lora_scale", "lora.lora_alpha"),
                    Map.entry("peft_use_dora", "lora.use_dora"),
                    Map.entry("peft_use_rslora", "lora.use_rslora"));

    /** What other tools have and this one has not under any key, with what to do instead. */
    private static final Map<String, String> NOTES =
            Map.ofEntries(
                    Map.entry(
                            "fp16",
                            "training in 16-bit floats of that kind is not there; use"
                                    + " quantization.bnb_4bit_compute_dtype bfloat16 or float32"),
                    Map.entry("stage", "only supervised finetuning is there, which needs no key"),
                    Map.entry("do_train", "the command train trains; leave the key out"),
                    Map.entry(
                            "flash_attention",
                            "attention is always computed in blocks; leave the key out"),
                    Map.entry(
                            "flash_attn",
                            "attention is always computed in blocks; leave the key out"),
                    Map.entry(
                            "resume_from_checkpoint", "go on with qlora train RUN_FOLDER --resume"),
                    Map.entry(
                            "auto_resume_from_checkpoints",
                            "go on with qlora train RUN_FOLDER --resume"),
                    Map.entry(
                            "overwrite_output_dir",
                            "a run never overwrites another; name a new train.output_dir"),
                    Map.entry(
                            "overwrite_cache", "data is read anew for each run; leave the key out"),
                    Map.entry(
                            "preprocessing_num_workers",
                            "data is read as fast as it comes; leave the key out"),
                    Map.entry("deepspeed", "several devices are not there; leave the key out"),
                    Map.entry("fsdp", "several devices are not there; leave the key out"),
                    Map.entry(
                            "wandb_project",
                            "Weights & Biases is not there; use train.report_to [html, png, tensorboard]"),
                    Map.entry(
                            "hub_model_id",
                            "nothing is uploaded; the run folder holds PEFT files that hf upload takes"),
                    Map.entry(
                            "push_to_hub",
                            "nothing is uploaded; the run folder holds PEFT files that hf upload takes"),
                    Map.entry(
                            "trust_remote_code",
                            "code that comes with a model is never run; leave the key out"));

    /**
     * The rest of the sentence that begins with "unknown key KEY".
     *
     * @param key as written, with its section if it has one
     */
    static String forUnknown(String key) {
        String note = NOTES.get(plain(key));
        if (note != null) {
            return "; " + note;
        }
        String nearest = nearest(key);
        if (nearest != null) {
            return "; did you mean " + nearest + "?";
        }
        int dot = key.indexOf('.');
        String section = dot < 0 ? key : key.substring(0, dot);
        List<String> leaves = new ArrayList<>();
        for (ConfigKeys.Key known : ConfigKeys.all()) {
            if (known.section().equals(section)) {
                leaves.add(known.leaf());
            }
        }
        return leaves.isEmpty()
                ? "; there are version, " + String.join(", ", ConfigKeys.sections().keySet())
                : "; " + section + " has " + String.join(", ", leaves);
    }

    /** What to do in place of a flag or key of another tool, or null where this one knows more. */
    static @Nullable String note(String key) {
        return NOTES.get(plain(key));
    }

    /** The key that other tools call by this very name, or null. */
    static @Nullable String alias(String key) {
        return ALIASES.get(plain(key));
    }

    /** The part behind the section, as keys are spelled. */
    private static String plain(String key) {
        return key.substring(key.indexOf('.') + 1).toLowerCase(Locale.ROOT).replace('-', '_');
    }

    /** The known key or section that is meant, or null where nothing is near. */
    static @Nullable String nearest(String key) {
        for (ConfigKeys.Key known : ConfigKeys.all()) {
            if (key.startsWith(known.name() + ".")) {
                return known.name();
            }
        }
        int dot = key.indexOf('.');
        String section = dot < 0 ? "" : key.substring(0, dot);
        String leaf = plain(key);
        String best = null;
        // Two slips at most, fewer in short words; another section than the written one counts as
        // one more.
        double smallest = Math.min(2, leaf.length() / 3) + 1.5;
        for (ConfigKeys.Key known : ConfigKeys.all()) {
            double distance =
                    Nearest.distance(leaf, known.leaf())
                            + (known.section().equals(section) ? 0 : 1);
            if (distance < smallest) {
                smallest = distance;
                best = known.name();
            }
        }
        for (Entry<String, String> alias : sorted(ALIASES)) {
            double distance =
                    Nearest.distance(leaf, alias.getKey())
                            + (alias.getValue().startsWith(section + ".") ? 0.25 : 1.25);
            if (distance < smallest && ConfigKeys.find(alias.getValue()) != null) {
                smallest = distance;
                best = alias.getValue();
            }
        }
        String name = dot < 0 ? key : section;
        for (String known : ConfigKeys.sections().keySet()) {
            double distance = Nearest.distance(name.toLowerCase(Locale.ROOT), known);
            if (distance > 0 && distance <= 2 && distance < smallest) {
                smallest = distance;
                best = dot < 0 ? known : known + "." + key.substring(dot + 1);
            }
        }
        return best;
    }

    /** The order of {@link Map#ofEntries} changes from run to run; that of hints must not. */
    private static List<Entry<String, String>> sorted(Map<String, String> map) {
        return map.entrySet().stream().sorted(Entry.comparingByKey()).toList();
    }
}
