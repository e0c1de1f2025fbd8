package org.qlora4j.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * Where records come from: one file. Closed, so that every reader keeps the same promises about
 * places and errors.
 */
public sealed interface Source permits JsonLines, JsonArray, Csv, Parquet {
    /** What the files may be called, for messages; each but the last also with .gz or .zst. */
    String ENDINGS = ".jsonl, .json, .csv, .tsv, each also with .gz or .zst, or .parquet";

    /** Whether a file of this name can be read. */
    static boolean isKnown(String name) {
        return !endingOf(name).isEmpty();
    }

    /**
     * The source for a file, chosen by the end of its name; a {@link FormatException} if it is
     * missing or unknown.
     */
    static Source of(Path file) {
        if (!Files.exists(file)) {
            throw new FormatException(
                    file + " does not exist; give a file that ends in " + ENDINGS);
        }
        if (Files.isDirectory(file)) {
            throw new FormatException(file + " is a folder, not a file of records");
        }
        return switch (endingOf(String.valueOf(file.getFileName()))) {
            case ".parquet" -> new Parquet(file);
            case ".csv" -> new Csv(file, false);
            case ".tsv" -> new Csv(file, true);
            case ".jsonl" -> new JsonLines(file);
            case ".json" -> beginsWithList(file) ? new JsonArray(file) : new JsonLines(file);
            default ->
                    throw new FormatException(
                            file + " is of a kind that is not read; give " + ENDINGS);
        };
    }

    private static String endingOf(String name) {
        Compression compression = Compression.of(name);
        String plain = compression.strip(name).toLowerCase(Locale.ROOT);
        int dot = plain.lastIndexOf('.');
        String ending = dot < 0 ? "" : plain.substring(dot);
        return switch (ending) {
            case ".jsonl", ".ndjson" -> ".jsonl";
            case ".json", ".csv", ".tsv" -> ending;
            case ".parquet" -> compression == Compression.NONE ? ending : "";
            default -> "";
        };
    }

    /** Files that end in {@code .json} may hold one list, or a record in each line. */
    private static boolean beginsWithList(Path file) {
        try (InputStream in = Compression.open(file)) {
            int c = in.read();
            while (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c >= 0xBB) { // or the mark
                c = in.read();
            }
            return c == '[';
        } catch (IOException e) {
            throw Compression.unreadable(file, e);
        }
    }

    /** The file the records stand in. */
    Path file();

    /** Begins reading at the first record; the caller closes. */
    Rows open();

    /** Records in the order of the file. */
    interface Rows extends AutoCloseable {
        /**
         * The next record, null after the last; a {@link FormatException} naming the line if it is
         * broken.
         */
        @Nullable Row next();

        /** Whether there may be whole records behind a broken one, so that reading can go on. */
        default boolean goesOn() {
            return false;
        }

        @Override
        void close();
    }
}
