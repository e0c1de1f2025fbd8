package org.qlora4j.data;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Makes examples of the records of one file: its format is told once, from the first record or the
 * settings, and holds for all that follow.
 */
final class RecordEncoder {
    private final DatasetFormat format;
    private final String description;
    private final ExampleEncoder encoder;

    /**
     * For the file that a record is the first of.
     *
     * @param special tokens put around text
     * @param template the model's chat template, null if it has none
     */
    RecordEncoder(
            Row first,
            DataConfig config,
            Tokenizer tokenizer,
            SpecialIds special,
            @Nullable ChatRenderer template) {
        boolean isTold = config.datasetFormat() != DatasetFormat.AUTO;
        this.format = isTold ? config.datasetFormat() : DatasetFormat.of(first);
        this.description =
                "%s: format %s (%s)"
                        .formatted(
                                first.file(),
                                format.key(),
                                isTold
                                        ? "set by data.dataset_format"
                                        : "the first record has "
                                                + String.join(" and ", format.fields()));
        this.encoder = encoder(format, config, tokenizer, special, template, first);
    }

    private static ExampleEncoder encoder(
            DatasetFormat format,
            DataConfig config,
            Tokenizer tokenizer,
            SpecialIds special,
            @Nullable ChatRenderer template,
            Row first) {
        if (format != DatasetFormat.MESSAGES) {
            return new SourceTargetEncoder(format, config, tokenizer, special);
        }
        if (template == null) {
            throw first.error(
                    "records are chats, but the model has no chat template; put chat_template.jinja beside its tokenizer.json,"
                            + " or give prompts and answers as input and output");
        }
        return new ChatEncoder(config, tokenizer, template);
    }

    /** The format of the file. */
    DatasetFormat format() {
        return format;
    }

    /** File, format and how it was found, for people. */
    String description() {
        return description;
    }

    /**
     * The examples of a record, nearly always one; a {@code FormatException} naming file and line
     * if it has a fault.
     */
    List<Example> encode(Row row) {
        return encoder.encode(row);
    }
}
