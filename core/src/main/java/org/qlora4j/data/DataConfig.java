package org.qlora4j.data;

import static org.qlora4j.error.Require.require;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What is trained on, section {@code data} of a run's YAML; names and defaults are those of
 * qlora.py.
 *
 * @param dataset path of the file; empty until given
 * @param datasetFormat how a record becomes text; AUTO tells it from the fields of the first record
 * @param sourceMaxLen tokens a prompt is cut to, at least 1
 * @param targetMaxLen tokens an answer with its end-of-text token is cut to, at least 1; a chat as
 *     a whole is cut to {@code sourceMaxLen + targetMaxLen}
 * @param trainOnSource whether prompts are trained as well as answers
 * @param groupByLength whether batches are made of examples of similar length
 * @param maxTrainSamples the number of records used, from the first; 0 for all
 * @param chatTemplate a name or file as {@link org.qlora4j.tokenize.Tokenizer#useChatTemplate}
 *     takes it, by which prompts and answers become chats too; null for the model's own, for chats
 *     only
 * @param rolesToTrain whose messages of a chat are learnt, at least one
 * @param maskHistory whether only the last of these messages is
 * @param truncation what becomes of records beyond the limits
 * @param onBadData whether to train on data that {@link DataGate} warns of
 */
public record DataConfig(
        @JsonProperty("dataset")
                @JsonPropertyDescription("Path of the training data, a .jsonl file.")
                String dataset,
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
                        "Whether to train on data that can hardly teach anything, such as only answers without an end.")
                BadData onBadData) {
    public static final DataConfig DEFAULT =
            new DataConfig(
                    "",
                    DatasetFormat.AUTO,
                    1024,
                    256,
                    false,
                    true,
                    0,
                    null,
                    List.of("assistant"),
                    false,
                    Truncation.CUT,
                    BadData.REFUSE);

    public DataConfig {
        // An empty key in YAML; qlora.py writes None for these.
        dataset = dataset == null ? "" : dataset;
        datasetFormat = datasetFormat == null ? DatasetFormat.AUTO : datasetFormat;
        chatTemplate = chatTemplate == null || chatTemplate.isBlank() ? null : chatTemplate;
        rolesToTrain = rolesToTrain == null ? List.of("assistant") : List.copyOf(rolesToTrain);
        truncation = truncation == null ? Truncation.CUT : truncation;
        onBadData = onBadData == null ? BadData.REFUSE : onBadData;
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
                maxTrainSamples >= 0,
                "data.max_train_samples must be 0 (all) or more, got %d",
                maxTrainSamples);
    }
}
