package org.qlora4j.data;

import static org.qlora4j.error.Require.require;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import org.jspecify.annotations.Nullable;

/** Stand-in with the keys of section {@code data}, until the package lands. */
public record DataConfig(
        @JsonProperty("dataset") @JsonPropertyDescription("The file to train on.") String dataset,
        @JsonProperty("dataset_format")
                @JsonPropertyDescription("Meaning of the fields; auto looks at the first record.")
                String datasetFormat,
        @JsonProperty("source_max_len") @JsonPropertyDescription("Tokens kept of a source.")
                int sourceMaxLen,
        @JsonProperty("target_max_len") @JsonPropertyDescription("Tokens kept of a target.")
                int targetMaxLen,
        @JsonProperty("train_on_source") @JsonPropertyDescription("Train on the source too.")
                boolean trainOnSource,
        @JsonProperty("group_by_length")
                @JsonPropertyDescription("Put examples of like length into one batch.")
                boolean groupByLength,
        @JsonProperty("max_train_samples")
                @JsonPropertyDescription("Train on the first so many only; null for all.")
                @Nullable Integer maxTrainSamples) {
    public static final DataConfig DEFAULT =
            new DataConfig("", "auto", 1024, 256, false, true, null);

    public DataConfig {
        require(sourceMaxLen >= 1, "data.source_max_len must be at least 1, got %d", sourceMaxLen);
        require(targetMaxLen >= 1, "data.target_max_len must be at least 1, got %d", targetMaxLen);
    }
}
