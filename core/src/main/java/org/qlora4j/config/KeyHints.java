package org.qlora4j.config;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Map.Entry;
import org.jspecify.annotations.Nullable;

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
                    Map.entry("max_new_tokens", "train.sample_max_new_tokens"));

    /**
     * The rest of the sentence that begins with "unknown key KEY".
     *
     * @param key as written, with its section if it has one
     */
    static String forUnknown(String key) {
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

    /** The known key or section that is meant, or null where nothing is near. */
    private static @Nullable String nearest(String key) {
        for (ConfigKeys.Key known : ConfigKeys.all()) {
            if (key.startsWith(known.name() + ".")) {
                return known.name();
            }
        }
        int dot = key.indexOf('.');
        String section = dot < 0 ? "" : key.substring(0, dot);
        String leaf = key.substring(dot + 1).toLowerCase(Locale.ROOT).replace('-', '_');
        String best = null;
        // Two slips at most, fewer in short words; another section than the written one counts as
        // one more.
        double smallest = Math.min(2, leaf.length() / 3) + 1.5;
        for (ConfigKeys.Key known : ConfigKeys.all()) {
            double distance =
                    distance(leaf, known.leaf()) + (known.section().equals(section) ? 0 : 1);
            if (distance < smallest) {
                smallest = distance;
                best = known.name();
            }
        }
        for (Entry<String, String> alias : sorted(ALIASES)) {
            double distance =
                    distance(leaf, alias.getKey())
                            + (alias.getValue().startsWith(section + ".") ? 0.25 : 1.25);
            if (distance < smallest && ConfigKeys.find(alias.getValue()) != null) {
                smallest = distance;
                best = alias.getValue();
            }
        }
        String name = dot < 0 ? key : section;
        for (String known : ConfigKeys.sections().keySet()) {
            double distance = distance(name.toLowerCase(Locale.ROOT), known);
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

    /** The nearest of some words, or null where none is within a third of the word's length. */
    static @Nullable String nearestOf(String word, Iterable<String> words) {
        String best = null;
        int smallest = Math.max(2, word.length() / 3) + 1;
        for (String candidate : words) {
            int distance = distance(word, candidate);
            if (distance < smallest) {
                smallest = distance;
                best = candidate;
            }
        }
        return best;
    }

    /**
     * Edits between two words: insert, delete, replace or swap two neighbours (optimal string
     * alignment).
     */
    static int distance(String a, String b) {
        int[][] d = new int[a.length() + 1][b.length() + 1];
        for (int i = 0; i <= a.length(); i++) {
            d[i][0] = i;
        }
        for (int j = 0; j <= b.length(); j++) {
            d[0][j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            for (int j = 1; j <= b.length(); j++) {
                int replaced = d[i - 1][j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                d[i][j] = Math.min(replaced, Math.min(d[i - 1][j], d[i][j - 1]) + 1);
                if (i > 1
                        && j > 1
                        && a.charAt(i - 1) == b.charAt(j - 2)
                        && a.charAt(i - 2) == b.charAt(j - 1)) {
                    d[i][j] = Math.min(d[i][j], d[i - 2][j - 2] + 1);
                }
            }
        }
        return d[a.length()][b.length()];
    }
}
