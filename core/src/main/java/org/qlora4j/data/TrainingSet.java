package org.qlora4j.data;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Examples, tokenized, in the order of their files and settings.
 *
 * @param examples at least one, each with at least one token to learn; those of {@link
 *     TrainingSplits} lie on disk if they are many
 * @param stats what became of the records
 * @param description the format and how it was found, for people
 * @param notices what else to tell people: how parts were mixed, what was held out
 * @param forms what stands around prompts, in any of the files
 */
public record TrainingSet(
        List<Example> examples,
        DataStats stats,
        String description,
        List<String> notices,
        Set<PromptForm> forms) {
    public TrainingSet {
        examples = examples instanceof ExampleList ? examples : List.copyOf(examples);
        notices = List.copyOf(notices);
        forms = Set.copyOf(forms);
    }

    /**
     * Reads what the settings name to train on; paths are relative to the working folder.
     *
     * @param special tokens put around text
     * @param template the model's chat template, null if it has none; only format {@code messages}
     *     needs it
     * @throws ConfigException if nothing is named
     * @throws FormatException with file and line, if a file is missing, a record is broken, or
     *     nothing is left to train
     */
    public static TrainingSet load(
            DataConfig config,
            Tokenizer tokenizer,
            SpecialIds special,
            @Nullable ChatRenderer template) {
        return TrainingSplits.load(config, tokenizer, special, new Layout.OneText(), template, null)
                .train();
    }

    /** This set with more to tell people. */
    public TrainingSet withNotices(List<String> more) {
        List<String> all = new ArrayList<>(notices);
        all.addAll(more);
        return new TrainingSet(examples, stats, description, all, forms);
    }

    /** Everything a user should hear before training, one fact a line. */
    public List<String> report(DataConfig config) {
        List<String> lines = new ArrayList<>();
        lines.add(description);
        lines.addAll(stats.report(config));
        lines.addAll(notices);
        DataGate.findings(stats, config).forEach(finding -> lines.add("warning: " + finding));
        return lines;
    }

    /** Tokens of each example, after the limits: what batches are grouped by. */
    public int[] lengths() {
        return examples instanceof ExampleList list
                ? list.lengths()
                : examples.stream().mapToInt(Example::length).toArray();
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

    /** The batch of some examples, one a row, by their places here; see {@link Batch#of}. */
    public Batch batch(int[] places, int padId, int multiple) {
        int[][] rows = Arrays.stream(places).mapToObj(i -> new int[] {i}).toArray(int[][]::new);
        return batch(rows, padId, multiple);
    }

    /** The batch of some rows of examples, by their places here; see {@link Batch#packed}. */
    public Batch batch(int[][] rows, int padId, int multiple) {
        List<List<Example>> chosen = new ArrayList<>(rows.length);
        for (int[] row : rows) {
            List<Example> ofRow = new ArrayList<>(row.length);
            for (int place : row) {
                ofRow.add(examples.get(place));
            }
            chosen.add(ofRow);
        }
        return Batch.packed(chosen, padId, multiple);
    }
}
