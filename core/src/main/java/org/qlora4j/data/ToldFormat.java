package org.qlora4j.data;

import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;

/**
 * The format that holds for a file before a record of it is seen.
 *
 * @param format {@link DatasetFormat#AUTO} if the first record is to tell it
 * @param reason how it was told, for people
 */
record ToldFormat(DatasetFormat format, String reason) {
    /**
     * What a part of the data or the settings say, else what the file is by itself.
     *
     * @param ofPart null if the part says nothing
     * @throws ConfigException if the model takes no such records: one that classifies takes records
     *     of classes alone, and it alone takes them
     */
    static ToldFormat of(
            @Nullable DatasetFormat ofPart, DataConfig config, Source source, Layout layout) {
        DatasetFormat set = ofPart == null ? config.datasetFormat() : ofPart;
        boolean classes = layout instanceof Layout.Classes;
        if (classes && set == DatasetFormat.AUTO) {
            return new ToldFormat(DatasetFormat.CLASSIFICATION, "the model classifies");
        }
        if (classes != (set == DatasetFormat.CLASSIFICATION)) {
            throw ConfigException.of(
                    classes
                            ? "data.dataset_format must be classification or auto for a model that classifies texts, got %s"
                            : "data.dataset_format must not be %s for a model that writes texts; RoBERTa classifies",
                    set.key());
        }
        return set == DatasetFormat.AUTO && source.format() != DatasetFormat.AUTO
                ? new ToldFormat(source.format(), "each file is one text")
                : new ToldFormat(set, "set by data.dataset_format");
    }

    /** Whether no record is asked. */
    boolean isTold() {
        return format != DatasetFormat.AUTO;
    }
}
