package org.qlora4j.config;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.data.BadData;
import org.qlora4j.data.DataConfig;
import org.qlora4j.data.DatasetFormat;
import org.qlora4j.data.Datasets;
import org.qlora4j.data.StoppingStrategy;
import org.qlora4j.data.Truncation;

/**
 * Sets keys of the section {@code data}. What each means stands at the component of {@link
 * DataConfig} that has its name.
 */
public final class DataKeys {
    private final SectionValues values;

    DataKeys(SectionValues values) {
        this.values = values;
    }

    private DataKeys set(String key, @Nullable Object value) {
        values.put(key, value);
        return this;
    }

    public DataKeys dataset(Datasets parts) {
        return set("dataset", parts);
    }

    public DataKeys dataset(String... names) {
        return set("dataset", List.of(names));
    }

    public DataKeys dataset(Path path) {
        return set("dataset", path.toString());
    }

    public DataKeys datasetFormat(DatasetFormat datasetFormat) {
        return set("dataset_format", datasetFormat);
    }

    public DataKeys sourceMaxLen(int sourceMaxLen) {
        return set("source_max_len", sourceMaxLen);
    }

    public DataKeys targetMaxLen(int targetMaxLen) {
        return set("target_max_len", targetMaxLen);
    }

    public DataKeys trainOnSource(boolean trainOnSource) {
        return set("train_on_source", trainOnSource);
    }

    public DataKeys groupByLength(boolean groupByLength) {
        return set("group_by_length", groupByLength);
    }

    public DataKeys packing(boolean packing) {
        return set("packing", packing);
    }

    public DataKeys padToMultipleOf(int padToMultipleOf) {
        return set("pad_to_multiple_of", padToMultipleOf);
    }

    public DataKeys maxTrainSamples(int maxTrainSamples) {
        return set("max_train_samples", maxTrainSamples);
    }

    public DataKeys chatTemplate(@Nullable String chatTemplate) {
        return set("chat_template", chatTemplate);
    }

    public DataKeys rolesToTrain(List<String> rolesToTrain) {
        return set("roles_to_train", rolesToTrain);
    }

    public DataKeys rolesToTrain(String... rolesToTrain) {
        return set("roles_to_train", List.of(rolesToTrain));
    }

    public DataKeys roles(Map<String, String> roles) {
        return set("roles", roles);
    }

    public DataKeys chatTemplateKwargs(Map<String, ?> chatTemplateKwargs) {
        return set("chat_template_kwargs", chatTemplateKwargs);
    }

    public DataKeys sanitizeControlTokens(boolean sanitizeControlTokens) {
        return set("sanitize_control_tokens", sanitizeControlTokens);
    }

    public DataKeys maskHistory(boolean maskHistory) {
        return set("mask_history", maskHistory);
    }

    public DataKeys truncation(Truncation truncation) {
        return set("truncation", truncation);
    }

    public DataKeys onBadData(BadData onBadData) {
        return set("on_bad_data", onBadData);
    }

    public DataKeys columns(Map<String, String> columns) {
        return set("columns", columns);
    }

    public DataKeys encoding(@Nullable String encoding) {
        return set("encoding", encoding);
    }

    public DataKeys stoppingStrategy(StoppingStrategy stoppingStrategy) {
        return set("stopping_strategy", stoppingStrategy);
    }

    public DataKeys evalDataset(@Nullable Datasets parts) {
        return set("eval_dataset", parts);
    }

    public DataKeys evalDataset(String... names) {
        return set("eval_dataset", List.of(names));
    }

    public DataKeys evalDataset(Path path) {
        return set("eval_dataset", path.toString());
    }

    public DataKeys evalDatasetSize(double evalDatasetSize) {
        return set("eval_dataset_size", evalDatasetSize);
    }

    public DataKeys maxEvalSamples(int maxEvalSamples) {
        return set("max_eval_samples", maxEvalSamples);
    }

    public DataKeys dataSplitSeed(long dataSplitSeed) {
        return set("data_split_seed", dataSplitSeed);
    }
}
