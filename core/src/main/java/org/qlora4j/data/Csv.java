package org.qlora4j.data;

import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.CsvRecord;
import de.siegmar.fastcsv.reader.FieldMismatchStrategy;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ExtraJar;
import org.qlora4j.error.FormatException;

/**
 * A table as text (RFC 4180): the first line names the columns, every value is text. {@code .tsv}
 * is separated by tabs; {@code .csv} by that of comma, semicolon and tab which stands most often in
 * the first line, for spreadsheets of many countries write semicolons. Quoted values may hold
 * separators, doubled quotes and line ends. Empty lines are skipped; a line with too many or too
 * few values is refused; a first column alone may have no name. A first line {@code sep=;}, which
 * Excel writes and hides, names the separator.
 *
 * @param tabs whether only a tab separates
 * @param encoding what the bytes are
 */
public record Csv(Path file, boolean tabs, TextEncoding encoding) implements Source {
    /** A value this long is nearly always a quote that was never closed. */
    private static final int MAX_VALUE_CHARS = 64 << 20;

    private static final int FIRST_LINE_CHARS = 1 << 16;

    /** What pandas calls the column of row numbers, which it writes first and without a name. */
    private static final String INDEX = "Unnamed: 0";

    @Override
    public Rows open() {
        ExtraJar.FASTCSV.requireFor(file);
        try {
            BufferedReader text = new BufferedReader(encoding.letters(file), FIRST_LINE_CHARS);
            Character told = toldSeparator(text);
            char separator = told != null ? told : tabs ? '\t' : separator(text);
            return new Lines(file, text, separator, told != null);
        } catch (IOException e) {
            throw Compression.unreadable(file, e);
        }
    }

    /** What a first line such as {@code sep=;} says, which is then read past; else null. */
    private static @Nullable Character toldSeparator(BufferedReader text) throws IOException {
        text.mark(8);
        char[] start = new char[5];
        int length = 0;
        int more;
        while (length < start.length
                && (more = text.read(start, length, start.length - length)) > 0) {
            length += more;
        }
        int end = text.read();
        boolean isTold =
                length == start.length
                        && new String(start, 0, 4).equalsIgnoreCase("sep=")
                        && (end == '\n' || end == '\r');
        if (!isTold) {
            text.reset();
            return null;
        }
        if (end == '\r') {
            text.mark(1);
            if (text.read() != '\n') {
                text.reset();
            }
        }
        return start[4];
    }

    /** Looks at the first line and goes back to its beginning. */
    private static char separator(BufferedReader text) throws IOException {
        text.mark(FIRST_LINE_CHARS);
        int[] counts = new int[128];
        boolean quoted = false;
        int c;
        for (int n = 0; n < FIRST_LINE_CHARS && (c = text.read()) >= 0; n++) {
            quoted ^= c == '"';
            if (!quoted && (c == '\n' || c == '\r')) {
                break;
            }
            if (!quoted && c < counts.length) {
                counts[c]++;
            }
        }
        text.reset();
        char best = counts[';'] > counts[','] ? ';' : ',';
        return counts['\t'] > counts[best] ? '\t' : best;
    }

    private static final class Lines implements Rows {
        private final Path file;
        private final CsvReader<CsvRecord> reader;
        private final java.util.Iterator<CsvRecord> records;
        private final List<String> columns;
        private final int linesBefore;
        private long line = 1;
        private boolean goesOn;

        /**
         * @param told whether a line before the names of the columns was read past
         */
        Lines(Path file, BufferedReader text, char separator, boolean told) {
            this.file = file;
            this.linesBefore = told ? 1 : 0;
            reader =
                    CsvReader.builder()
                            .fieldSeparator(separator)
                            .skipEmptyLines(true)
                            .extraFieldStrategy(FieldMismatchStrategy.IGNORE) // counted below
                            .missingFieldStrategy(FieldMismatchStrategy.IGNORE)
                            .allowUnclosedQuote(false)
                            .maxBufferSize(MAX_VALUE_CHARS)
                            .ofCsvRecord(text);
            records = reader.iterator();
            CsvRecord header = record();
            columns = header == null ? List.of() : names(header);
        }

        private List<String> names(CsvRecord header) {
            List<String> names = new ArrayList<>();
            for (String name : header.getFields()) {
                names.add(name.replace("\uFEFF", "").strip());
            }
            if (names.size() > 1 && names.getFirst().isEmpty()) {
                names.set(0, INDEX);
            }
            TreeSet<String> seen = new TreeSet<>();
            for (String name : names) {
                if (name.isEmpty()) {
                    throw new FormatException(
                            "%s:%d: a column of %s has no name; the first line must name each column"
                                    .formatted(file, line, names));
                }
                if (!seen.add(name)) {
                    throw new FormatException(
                            "%s:%d: two columns are named %s; rename one"
                                    .formatted(file, line, name));
                }
            }
            return List.copyOf(names);
        }

        @Override
        public @Nullable Row next() {
            CsvRecord record = record();
            if (record == null) {
                return null;
            }
            goesOn = true;
            if (record.getFieldCount() != columns.size()) {
                throw new FormatException(
                        "%s:%d: %d values for the %d columns %s; put quotes around a value that holds the separator"
                                .formatted(
                                        file,
                                        line,
                                        record.getFieldCount(),
                                        columns.size(),
                                        columns));
            }
            Map<String, Object> fields = LinkedHashMap.newLinkedHashMap(columns.size());
            for (int i = 0; i < columns.size(); i++) {
                fields.put(columns.get(i), record.getField(i));
            }
            return new Row(file.toString(), Math.toIntExact(line), fields);
        }

        @Override
        public boolean goesOn() {
            return goesOn; // a line of too few or too many values ends there
        }

        private @Nullable CsvRecord record() {
            goesOn = false;
            try {
                if (!records.hasNext()) {
                    return null;
                }
                CsvRecord record = records.next();
                line = linesBefore + record.getStartingLineNumber();
                return record;
            } catch (UncheckedIOException e) {
                throw Compression.unreadable(file, Objects.requireNonNull(e.getCause()));
            } catch (CsvParseException | NoSuchElementException e) {
                if (e.getCause() instanceof FormatException alien) { // a byte that is no letter
                    throw alien;
                }
                IOException io = e.getCause() instanceof IOException cause ? cause : null;
                throw io == null
                        ? new FormatException(
                                file + ": not CSV after line " + line + ": " + e.getMessage(), e)
                        : Compression.unreadable(file, io);
            }
        }

        @Override
        public void close() {
            try {
                reader.close();
            } catch (IOException e) {
                throw Compression.unreadable(file, e);
            }
        }
    }
}
