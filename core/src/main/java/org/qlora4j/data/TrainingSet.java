package org.qlora4j.data;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.tokenize.Tokenizer;

/**
 * All examples of a file, tokenized, in the file's order.
 *
 * @param examples at least one, each with at least one token to learn
 * @param stats what became of the records
 * @param description the format and how it was found, for people
 */
public record TrainingSet(List<Example> examples, DataStats stats, String description) {
    public TrainingSet {
        examples = List.copyOf(examples);
    }

    /**
     * Reads the file that the settings name, relative to the working folder.
     *
     * @param special tokens put around text
     * @param template the model's chat template, null if it has none; only format {@code messages}
     *     needs it
     * @throws ConfigException if no file is named
     * @throws FormatException with file and line, if the file is missing, a record is broken, or
     *     nothing is left to train
     */
    public static TrainingSet load(
            DataConfig config,
            Tokenizer tokenizer,
            SpecialIds special,
            @Nullable ChatRenderer template) {
        if (config.dataset().isBlank()) {
            throw new ConfigException(
                    "data.dataset is not set; name a .jsonl file with one record a line");
        }
        QloraDataset named = QloraDataset.of(config.dataset());
        if (named != null && !Files.exists(Path.of(config.dataset()))) {
            throw FormatException.of(
                    "data.dataset %s is %s on the Hugging Face hub; name a file of it, with data.dataset_format %s",
                    named.name(), named.repository(), named.format().key());
        }
        Source source = Source.of(Path.of(config.dataset()));
        int limit = config.maxTrainSamples() == 0 ? Integer.MAX_VALUE : config.maxTrainSamples();
        List<Example> examples = new ArrayList<>();
        DataStats.Counter counter = new DataStats.Counter();
        String description;
        try (Source.Rows rows = source.open()) {
            Row row = rows.next();
            if (row == null) {
                throw new FormatException(
                        source.file() + " holds no records; write one JSON object a line");
            }
            var encoder =
                    new RecordEncoder(
                            row,
                            config.datasetFormat(),
                            config,
                            tokenizer,
                            special,
                            template,
                            counter);
            description = encoder.description();
            for (int read = 0;
                    row != null && read < limit;
                    read++, row = read < limit ? rows.next() : null) {
                examples.addAll(encoder.encode(row));
            }
        }
        DataStats stats = counter.stats();
        if (examples.isEmpty()) {
            throw FormatException.of(
                    "%s: none of the %d records has a token to train on (the first is at line %d); chats need an answer of the"
                            + " assistant, and limits that reach it: see data.source_max_len and data.target_max_len",
                    source.file(), stats.records(), stats.droppedLine());
        }
        return new TrainingSet(examples, stats, description);
    }

    /** Everything a user should hear before training, one fact a line. */
    public List<String> report(DataConfig config) {
        List<String> lines = new ArrayList<>();
        lines.add(description);
        lines.addAll(stats.report(config));
        DataGate.findings(stats, config).forEach(finding -> lines.add("warning: " + finding));
        return lines;
    }

    /** Tokens of each example, after the limits: what batches are grouped by. */
    public int[] lengths() {
        return examples.stream().mapToInt(Example::length).toArray();
    }

    /**
     * SHA-256 over ids and labels, in hex: for each example its length, its ids, its labels (-100
     * where masked), all as 32-bit little-endian. Two sets with the same fingerprint give the same
     * batches; it stands in checkpoints, so that a run resumes on the data it began with.
     */
    public String fingerprint() {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
        for (Example example : examples) {
            ByteBuffer bytes =
                    ByteBuffer.allocate(4 + 8 * example.length()).order(ByteOrder.LITTLE_ENDIAN);
            bytes.putInt(example.length());
            for (int id : example.ids()) {
                bytes.putInt(id);
            }
            for (int t = 0; t < example.length(); t++) {
                bytes.putInt(example.labelled().get(t) ? example.ids()[t] : Batch.IGNORED);
            }
            digest.update(bytes.flip());
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    /** The batch of some examples, by their places here; see {@link Batch#of}. */
    public Batch batch(int[] places, int padId, int multiple) {
        List<Example> chosen = new ArrayList<>(places.length);
        for (int place : places) {
            chosen.add(examples.get(place));
        }
        return Batch.of(chosen, padId, multiple);
    }
}
