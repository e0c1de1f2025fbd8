package org.qlora4j.data;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * Raw text: each file ({@code .txt}, {@code .md}, which may be packed) is one document, a record
 * with the field {@code text}. Files without a letter are left out and named.
 *
 * @param file the file, or the folder that the files lie in
 * @param files at least one, in the order of reading
 */
public record Texts(Path file, List<Path> files, TextEncoding encoding) implements Source {
    /** Longer than any tokenizer takes at once. */
    private static final int MAX_CHARS = 64 << 20;

    private static final int NAMED = 5;

    public Texts {
        files = List.copyOf(files);
    }

    @Override
    public DatasetFormat format() {
        return DatasetFormat.TEXT;
    }

    @Override
    public Rows open() {
        return new Documents();
    }

    private final class Documents implements Rows {
        private final List<String> empty = new ArrayList<>();
        private int at;

        @Override
        public @Nullable Row next() {
            while (at < files.size()) {
                Path next = files.get(at++);
                String text = text(next);
                if (!text.isBlank()) {
                    return new Row(next.toString(), 1, Map.of("text", text));
                }
                empty.add(String.valueOf(next.getFileName()));
            }
            return null;
        }

        private String text(Path next) {
            StringBuilder text = new StringBuilder();
            try (Reader letters = encoding.letters(next)) {
                char[] some = new char[1 << 13];
                for (int n = letters.read(some); n >= 0; n = letters.read(some)) {
                    text.append(some, 0, n);
                    if (text.length() > MAX_CHARS) {
                        throw FormatException.of(
                                "%s has more than %d letters, too many for one document; cut it into several files",
                                next, MAX_CHARS);
                    }
                }
            } catch (IOException e) {
                throw Compression.unreadable(next, e);
            }
            return text.toString();
        }

        @Override
        public boolean goesOn() {
            return at > 0; // each file is read by itself
        }

        @Override
        public List<String> notes() {
            return empty.isEmpty()
                    ? List.of()
                    : List.of(
                            "%s: left out, for there is no letter in them: %s"
                                    .formatted(file, few(empty)));
        }

        @Override
        public void close() {
            // each file is closed when it is read
        }
    }

    /** Some names, and how many more there are. */
    static String few(List<String> names) {
        String some = String.join(", ", names.subList(0, Math.min(NAMED, names.size())));
        return names.size() <= NAMED ? some : some + " and %d more".formatted(names.size() - NAMED);
    }
}
