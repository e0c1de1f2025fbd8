package org.qlora4j.data;

import static org.qlora4j.error.Require.require;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;

/**
 * What is trained on, section {@code data} of a run's YAML; names and defaults are those of
 * qlora.py.
 *
 * @param dataset what is trained on; empty until given
 * @param datasetFormat how a record becomes text; AUTO tells it from the fields of the first record
 * @param sourceMaxLen tokens a prompt is cut to, at least 1
 * @param targetMaxLen tokens an answer with its end-of-text token is cut to, at least 1; a chat as
 *     a whole is cut to {@code sourceMaxLen + targetMaxLen}
 * @param trainOnSource whether prompts are trained as well as answers
 * @param groupByLength whether batches are made of examples of similar length
 * @param packing whether several examples share a row, see {@link Packing}
 * @param padToMultipleOf columns of a batch are rounded up to a multiple of this; 0 for the longest
 *     row as it is
 * @param maxTrainSamples the number of records used, from the first; 0 for all. Of data that is
 *     mixed or split, the number of examples, after that
 * @param chatTemplate a name or file as {@link org.qlora4j.tokenize.Tokenizer#useChatTemplate}
 *     takes it, by which prompts and answers become chats too; null for the model's own, for chats
 *     only
 * @param rolesToTrain whose messages of a chat are learnt, at least one
 * @param maskHistory whether only the last of these messages is
 * @param truncation what becomes of records beyond the limits
 * @param chatTemplateKwargs variables for the chat template, such as {@code enable_thinking}; those
 *     of a record win
 * @param roles name of a role in the data to the role that chat templates know, see {@link Roles}
 * @param sanitizeControlTokens whether special tokens that stand in texts are kept letters, see
 *     {@link ControlTokens}
 * @param onBadData whether to train on data that {@link DataGate} warns of, and what becomes of
 *     records with a fault
 * @param columns field to column, for every part that has none of its own
 * @param encoding character set of data that is text, null for UTF-8 or what a mark at the
 *     beginning of a file says, see {@link TextEncoding}
 * @param stoppingStrategy when mixing by weight ends
 * @param evalDataset what is evaluated on, null for none or a share of {@code dataset}
 * @param evalDatasetSize what is held out of {@code dataset}, unless {@code evalDataset} is given:
 *     a share below 1, a number of examples from 1, 0 for nothing
 * @param maxEvalSamples examples evaluated on at most, 0 for all
 * @param dataSplitSeed of what is held out and of mixing, at least 0
 */
public record DataConfig(
        @JsonProperty("dataset")
                @JsonPropertyDescription(
                        "What to train on: a .jsonl, .json, .csv, .tsv, .xlsx or .parquet file, a .txt or .md text, a glob, a folder, a data set"
                                + " of the Hugging Face hub (org/name or org/name:split), or a list of these; as {path, weight}"
                                + " they are mixed.")
                Datasets dataset,
        @JsonProperty("dataset_format")
                @JsonPropertyDescription(
                        "How records become text; auto tells it from the first record's fields.")
                DatasetFormat datasetFormat,
        @JsonProperty("source_max_len")
                @JsonPropertyDescription("Prompts are cut on the right to so many tokens.")
                int sourceMaxLen,
        @JsonProperty("target_max_len")
                @JsonPropertyDescription(
                        "Answers are cut on the right to so many tokens; chats to source_max_len + target_max_len.")
                int targetMaxLen,
        @JsonProperty("train_on_source")
                @JsonPropertyDescription("Train on the prompts too, not on the answers only.")
                boolean trainOnSource,
        @JsonProperty("group_by_length")
                @JsonPropertyDescription(
                        "Batch examples of similar length together: less padding, but a loss that swings more.")
                boolean groupByLength,
        @JsonProperty("packing")
                @JsonPropertyDescription(
                        "Put several examples into each row of at most source_max_len + target_max_len tokens, whole and"
                                + " unseen by each other; rows are what per_device_train_batch_size counts, and"
                                + " group_by_length has no effect.")
                boolean packing,
        @JsonProperty("pad_to_multiple_of")
                @JsonPropertyDescription(
                        "Pad the rows of a batch to a multiple of this; 0 pads to the longest only.")
                @JsonSetter(nulls = Nulls.AS_EMPTY)
                int padToMultipleOf,
        @JsonProperty("max_train_samples")
                @JsonPropertyDescription("Use only the first so many records; 0 uses all.")
                @JsonSetter(nulls = Nulls.AS_EMPTY)
                int maxTrainSamples,
        @JsonProperty("chat_template")
                @JsonPropertyDescription(
                        "Writes records as chats: tokenizer (the model's own), a Jinja file, or chatml, llama2, llama3, mistral,"
                                + " zephyr, gemma, phi3, vicuna, alpaca, guanaco; null uses the model's own for chats, and prompts as they"
                                + " are for the rest.")
                @Nullable String chatTemplate,
        @JsonProperty("roles_to_train")
                @JsonPropertyDescription("Whose messages of a chat are learnt.")
                List<String> rolesToTrain,
        @JsonProperty("roles")
                @JsonPropertyDescription(
                        "What role a name in the data stands for, beside the usual ones, e.g. {narrator: user, critic: assistant};"
                                + " function_call for messages that are a tool call.")
                Map<String, String> roles,
        @JsonProperty("chat_template_kwargs")
                @JsonPropertyDescription(
                        "Variables for the chat template, e.g. {enable_thinking: false}, in training and when the adapter is used;"
                                + " those in a record win.")
                Map<String, Object> chatTemplateKwargs,
        @JsonProperty("sanitize_control_tokens")
                @JsonPropertyDescription(
                        "Keep special tokens such as <|im_end|> that stand in the texts of records letters, so that they cannot end a"
                                + " turn.")
                boolean sanitizeControlTokens,
        @JsonProperty("mask_history")
                @JsonPropertyDescription("Learn only the last of these messages in each chat.")
                boolean maskHistory,
        @JsonProperty("truncation")
                @JsonPropertyDescription(
                        "What becomes of records beyond the limits: cut on the right (an answer then loses its end token), lose whole"
                                + " turns, be left out, or be refused.")
                Truncation truncation,
        @JsonProperty("on_bad_data")
                @JsonPropertyDescription(
                        "Whether to train on data that can hardly teach anything, such as only answers without an end; skip leaves out"
                                + " records that have a fault and lists them.")
                BadData onBadData,
        @JsonProperty("columns")
                @JsonPropertyDescription(
                        "Which column holds which field, e.g. {user: question, assistant: answer} for chats or"
                                + " {prompt: q, completion: a}.")
                Map<String, String> columns,
        @JsonProperty("encoding")
                @JsonPropertyDescription(
                        "Character set of .csv, .tsv, .txt, .md and JSON files, e.g. windows-1252; null is UTF-8, or what a mark at the"
                                + " beginning of a file says.")
                @Nullable String encoding,
        @JsonProperty("stopping_strategy")
                @JsonPropertyDescription(
                        "Mixing by weight ends when the first part runs out, or when all have (those that run out begin"
                                + " again).")
                StoppingStrategy stoppingStrategy,
        @JsonProperty("eval_dataset")
                @JsonPropertyDescription(
                        "What to evaluate on, written as dataset; null for none, or for what eval_dataset_size holds out.")
                @Nullable Datasets evalDataset,
        @JsonProperty("eval_dataset_size")
                @JsonPropertyDescription(
                        "Hold out so many random examples for evaluation, or a share of them if below 1; 0 holds out none.")
                double evalDatasetSize,
        @JsonProperty("max_eval_samples")
                @JsonPropertyDescription("Evaluate on the first so many examples only; 0 uses all.")
                @JsonSetter(nulls = Nulls.AS_EMPTY)
                int maxEvalSamples,
        @JsonProperty("data_split_seed")
                @JsonPropertyDescription("Seed of what is held out and of mixing.")
                long dataSplitSeed) {
    public static final DataConfig DEFAULT =
            new DataConfig(
                    Datasets.NONE,
                    DatasetFormat.AUTO,
                    1024,
                    256,
                    false,
                    true,
                    false,
                    0,
                    0,
                    null,
                    List.of("assistant"),
                    Map.of(),
                    Map.of(),
                    false,
                    false,
                    Truncation.CUT,
                    BadData.REFUSE,
                    Map.of(),
                    null,
                    StoppingStrategy.FIRST_EXHAUSTED,
                    null,
                    0,
                    0,
                    42);

    public DataConfig {
        // An empty key in YAML; qlora.py writes None for these.
        dataset = dataset == null ? Datasets.NONE : dataset;
        datasetFormat = datasetFormat == null ? DatasetFormat.AUTO : datasetFormat;
        chatTemplate = chatTemplate == null || chatTemplate.isBlank() ? null : chatTemplate;
        rolesToTrain = rolesToTrain == null ? List.of("assistant") : List.copyOf(rolesToTrain);
        roles = roles == null ? Map.of() : Map.copyOf(roles);
        chatTemplateKwargs = chatTemplateKwargs == null ? Map.of() : Map.copyOf(chatTemplateKwargs);
        truncation = truncation == null ? Truncation.CUT : truncation;
        onBadData = onBadData == null ? BadData.REFUSE : onBadData;
        columns = columns == null ? Map.of() : Map.copyOf(columns);
        encoding = encoding == null || encoding.isBlank() ? null : encoding;
        stoppingStrategy =
                stoppingStrategy == null ? StoppingStrategy.FIRST_EXHAUSTED : stoppingStrategy;
        evalDataset = evalDataset == null || evalDataset.isEmpty() ? null : evalDataset;
        if (encoding != null) {
            requireEncoding(encoding);
        }
        require(
                !rolesToTrain.isEmpty(),
                "data.roles_to_train must name a role, e.g. assistant, got an empty list");
        require(sourceMaxLen >= 1, "data.source_max_len must be at least 1, got %d", sourceMaxLen);
        require(targetMaxLen >= 1, "data.target_max_len must be at least 1, got %d", targetMaxLen);
        require(
                (long) sourceMaxLen + targetMaxLen <= Integer.MAX_VALUE,
                "data.source_max_len + data.target_max_len must be below 2^31, got %d + %d",
                sourceMaxLen,
                targetMaxLen);
        require(
                padToMultipleOf >= 0,
                "data.pad_to_multiple_of must be 0 (none) or more, got %d",
                padToMultipleOf);
        require(
                maxTrainSamples >= 0,
                "data.max_train_samples must be 0 (all) or more, got %d",
                maxTrainSamples);
        require(
                evalDatasetSize >= 0
                        && (evalDatasetSize < 1 || evalDatasetSize == (int) evalDatasetSize),
                "data.eval_dataset_size must be a share below 1 or a whole number, got %s",
                evalDatasetSize);
        require(
                maxEvalSamples >= 0,
                "data.max_eval_samples must be 0 (all) or more, got %d",
                maxEvalSamples);
        require(
                dataSplitSeed >= 0,
                "data.data_split_seed must be 0 or more, got %d",
                dataSplitSeed);
    }

    private static void requireEncoding(String name) {
        try {
            TextEncoding.charset(name);
        } catch (ConfigException e) {
            throw new ConfigException("data.encoding " + e.getMessage(), e);
        }
    }

    /** Whether there are examples to evaluate on. */
    public boolean holdsOut() {
        return evalDataset != null || evalDatasetSize > 0;
    }

    /** Tokens of a packed row: as many as the longest example can have. */
    public int rowLimit() {
        return sourceMaxLen + targetMaxLen;
    }
}
