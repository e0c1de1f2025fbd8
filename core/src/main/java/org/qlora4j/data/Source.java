package org.qlora4j.data;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * Where records come from. Closed, so that every reader keeps the same promises about places and
 * errors.
 */
public sealed interface Source permits JsonLines {
    /**
     * The source for a file, chosen by the end of its name; a {@link FormatException} if it is
     * missing or unknown.
     */
    static Source of(Path file) {
        if (!Files.exists(file)) {
            throw new FormatException(
                    file + " does not exist; data.dataset must name a .jsonl file");
        }
        if (Files.isDirectory(file)) {
            throw new FormatException(
                    file + " is a folder; data.dataset must name one .jsonl file");
        }
        String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
        if (name.endsWith(".jsonl") || name.endsWith(".json") || name.endsWith(".ndjson")) {
            return new JsonLines(file);
        }
        throw new FormatException(
                file
                        + " is of a kind that is not read; give JSON Lines (.jsonl): one object a line");
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

        @Override
        void close();
    }
}
