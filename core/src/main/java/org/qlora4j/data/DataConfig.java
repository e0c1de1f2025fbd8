package org.qlora4j.data;

import static org.qlora4j.error.Require.require;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;

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
 */
public record DataConfig(
        @JsonProperty("dataset")
                @JsonPropertyDescription("Path of the training data, a .jsonl file.")
                String dataset,
        @JsonProperty("dataset_format")
                @JsonPropertyDescription(
                        "How records become text: auto (told from the first record's fields), messages, alpaca,"
                                + " input-output, prompt-completion, oasst1, hh-rlhf or chip2.")
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
                int maxTrainSamples) {
    public static final DataConfig DEFAULT =
            new DataConfig("", DatasetFormat.AUTO, 1024, 256, false, true, 0);

    public DataConfig {
        // An empty key in YAML; qlora.py writes None for these.
        dataset = dataset == null ? "" : dataset;
        datasetFormat = datasetFormat == null ? DatasetFormat.AUTO : datasetFormat;
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
