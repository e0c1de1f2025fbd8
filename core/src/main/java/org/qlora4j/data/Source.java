package org.qlora4j.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * Where records come from: a file, the raw texts of a folder, or a program. Closed, so that every
 * reader keeps the same promises about places and errors.
 */
public sealed interface Source permits JsonLines, JsonArray, Csv, Parquet, Xlsx, Texts, Records {
    /** What the files may be called, for messages. */
    String ENDINGS =
            ".jsonl, .json, .csv, .tsv, .txt, .md, each also with .gz or .zst, .parquet or .xlsx";

    /** Whether a file of this name can be read. */
    static boolean isKnown(String name) {
        return !endingOf(name).isEmpty();
    }

    /** Whether a file of this name is raw text, which a folder of records may hold beside them. */
    static boolean isText(String name) {
        return endingOf(name).equals(".txt");
    }

    /**
     * The source for a file of which no setting speaks, chosen by the end of its name; a {@link
     * FormatException} if it is missing or unknown.
     */
    static Source of(Path file) {
        return of(file, TextEncoding.FOUND, "");
    }

    /**
     * The source for a file, chosen by the end of its name.
     *
     * @param encoding of what is text
     * @param sheet of a spreadsheet; empty for the first
     * @throws FormatException if the file is missing or of an unknown kind
     */
    static Source of(Path file, TextEncoding encoding, String sheet) {
        if (!Files.exists(file)) {
            throw new FormatException(
                    file + " does not exist; give a file that ends in " + ENDINGS);
        }
        if (Files.isDirectory(file)) {
            throw new FormatException(file + " is a folder, not a file of records");
        }
        return switch (endingOf(String.valueOf(file.getFileName()))) {
            case ".parquet" -> new Parquet(file);
            case ".csv" -> new Csv(file, false, encoding);
            case ".tsv" -> new Csv(file, true, encoding);
            case ".xlsx" -> new Xlsx(file, sheet);
            case ".txt" -> new Texts(file, List.of(file), encoding);
            case ".jsonl" -> new JsonLines(file, encoding);
            case ".json" ->
                    beginsWithList(file, encoding)
                            ? new JsonArray(file, encoding)
                            : new JsonLines(file, encoding);
            default ->
                    throw new FormatException(
                            file
                                    + " is of a kind that is not read; "
                                    + way(file)
                                    + "give "
                                    + ENDINGS);
        };
    }

    /** What else to do with files that people have, for messages. */
    private static String way(Path file) {
        String name = file.toString().toLowerCase(Locale.ROOT);
        return name.matches(".*\\.(xls|xlsb|ods|numbers)")
                ? "save it as .xlsx or as CSV UTF-8; "
                : name.matches(".*\\.(docx?|odt|rtf|pdf|html?|epub)")
                        ? "save it as plain text (.txt); "
                        : "";
    }

    private static String endingOf(String name) {
        Compression compression = Compression.of(name);
        String plain = compression.strip(name).toLowerCase(Locale.ROOT);
        int dot = plain.lastIndexOf('.');
        String ending = dot < 0 ? "" : plain.substring(dot);
        return switch (ending) {
            case ".jsonl", ".ndjson" -> ".jsonl";
            case ".txt", ".md" -> ".txt";
            case ".json", ".csv", ".tsv" -> ending;
            case ".parquet", ".xlsx" -> compression == Compression.NONE ? ending : "";
            default -> "";
        };
    }

    /** Files that end in {@code .json} may hold one list, or a record in each line. */
    private static boolean beginsWithList(Path file, TextEncoding encoding) {
        try (InputStream in = encoding.utf8(file)) {
            int c = in.read();
            while (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
                c = in.read();
            }
            return c == '[';
        } catch (IOException e) {
            throw Compression.unreadable(file, e);
        }
    }

    /** The file the records stand in, or the folder of texts. */
    Path file();

    /** The format that its records have by being what they are; AUTO for none. */
    default DatasetFormat format() {
        return DatasetFormat.AUTO;
    }

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

        /** What people should know of the source, such as parts not read; whole after the last. */
        default List<String> notes() {
            return List.of();
        }

        @Override
        void close();
    }
}
