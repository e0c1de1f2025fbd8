package org.qlora4j.data;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.xml.stream.XMLStreamException;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * A sheet of a spreadsheet of Excel, LibreOffice or Google, read row by row. Its first row that is
 * not empty names the columns, every value is text; numbers as {@link XlsxCell} writes them, of a
 * formula its last result. Empty rows are skipped; the line of a record is its row. A value without
 * a column name, and an error such as {@code #N/A}, are refused with their cell.
 *
 * @param sheet its name; empty for the first that is not hidden
 */
public record Xlsx(Path file, String sheet) implements Source {
    private static final int MAX_ROWS = 1 << 20;
    private static final int MAX_COLUMNS = 1 << 14;

    @Override
    public Rows open() {
        return new Records(file, sheet);
    }

    private static final class Records implements Rows {
        private final Path file;
        private @Nullable XlsxArchive archive;
        private XlsxArchive.@Nullable Xml xml;
        private final XlsxBook book;
        private final XlsxBook.Sheet sheet;
        private final Map<Integer, String> columns = new TreeMap<>();
        private int line;
        private boolean goesOn;

        Records(Path file, String sheet) {
            this.file = file;
            try {
                XlsxArchive opened = new XlsxArchive(file);
                this.archive = opened;
                this.book = XlsxBook.read(opened);
                this.sheet = choose(sheet);
                this.xml = opened.open(this.sheet.path());
            } catch (IOException | XMLStreamException | RuntimeException e) {
                close();
                throw unreadable(e);
            } catch (OutOfMemoryError e) { // its texts
                close();
                throw unreadable(new IOException(e.toString(), e));
            }
        }

        private XlsxBook.Sheet choose(String name) {
            return book.sheets().stream()
                    .filter(one -> name.isEmpty() ? !one.isHidden() : name.equals(one.name()))
                    .findFirst()
                    .orElseThrow(() ->
                            FormatException.of(
                                    "%s has no sheet %s; its sheets are %s",
                                    file,
                                    name.isEmpty() ? "that is not hidden" : name,
                                    book.sheets().stream()
                                            .map(XlsxBook.Sheet::name)
                                            .collect(Collectors.joining(", "))));
        }

        @Override
        public @Nullable Row next() {
            XlsxArchive.Xml cells = xml;
            goesOn = false;
            try {
                while (cells != null && cells.next()) {
                    if (!cells.begins("row")) {
                        continue;
                    }
                    Map<Integer, String> values = values(cells);
                    if (!values.isEmpty() && !columns.isEmpty()) {
                        return record(values);
                    }
                    name(values);
                }
                return null;
            } catch (XMLStreamException | RuntimeException e) {
                throw unreadable(e);
            }
        }

        /** Texts of the row that begins here, by column, without empty ones; goes to its end. */
        private Map<Integer, String> values(XlsxArchive.Xml cells) throws XMLStreamException {
            String number = cells.attribute("r");
            line = number == null ? line + 1 : Integer.parseInt(number);
            if (line < 1 || line > MAX_ROWS) {
                throw new XMLStreamException("it has a row " + line);
            }
            Map<Integer, String> values = new TreeMap<>();
            FormatException fault = null;
            int column = -1;
            while (!cells.ends("row") && cells.next()) {
                if (!cells.begins("c")) {
                    continue;
                }
                String place = cells.attribute("r");
                column = place == null ? column + 1 : column(place);
                String cell = place == null ? letters(column) + line : place;
                if (column >= MAX_COLUMNS) {
                    throw new XMLStreamException("it has a cell " + cell);
                }
                if ("e".equals(cells.attribute("t"))) {
                    fault =
                            FormatException.of(
                                    "%s:%d: cell %s holds the error %s; mend or empty it",
                                    file, line, cell, text(cells));
                    continue;
                }
                String text = text(cells);
                if (!text.isEmpty()) {
                    values.put(column, text);
                }
            }
            goesOn = !columns.isEmpty();
            if (fault != null) {
                throw fault;
            }
            return values;
        }

        /** The place of a column: 0 for A, 26 for AA; of {@code B7} it is 1. */
        private static int column(String place) {
            int column = 0;
            for (int i = 0; i < place.length() && Character.isLetter(place.charAt(i)); i++) {
                int letter = Character.toUpperCase(place.charAt(i)) - 'A' + 1;
                column = Math.min(MAX_COLUMNS + 1, column * 26 + letter);
            }
            if (column < 1) {
                throw new IllegalArgumentException("it has a cell " + place);
            }
            return column - 1;
        }

        /** The name of a column: A for 0, AA for 26. */
        private static String letters(int column) {
            String last = Character.toString('A' + column % 26);
            return column < 26 ? last : letters(column / 26 - 1) + last;
        }

        /** The text of the cell that begins here; goes to its end. */
        private String text(XlsxArchive.Xml cells) throws XMLStreamException {
            String type = cells.attribute("t");
            String style = cells.attribute("s");
            StringBuilder stored = new StringBuilder();
            String inline = "";
            while (!cells.ends("c") && cells.next()) {
                if (cells.begins("v")) {
                    cells.addText(stored, XlsxBook.LONGEST_TEXT);
                } else if (cells.begins("is")) {
                    inline = XlsxBook.text(cells, "is");
                }
            }
            String value = stored.toString();
            if (value.isEmpty()) {
                return inline;
            }
            return switch (type == null ? "n" : type) {
                case "s" -> book.texts().get(Integer.parseInt(value.strip()));
                case "b" -> XlsxBook.isTrue(value.strip()) ? "TRUE" : "FALSE";
                case "n" -> XlsxCell.text(value, format(style), book.from1904());
                case "d" -> value.replace('T', ' ');
                default -> XlsxBook.plain(value);
            };
        }

        private String format(@Nullable String style) {
            int place = style == null ? -1 : Integer.parseInt(style);
            return place >= 0 && place < book.formats().size() ? book.formats().get(place) : "";
        }

        private void name(Map<Integer, String> values) {
            values.forEach((column, value) -> {
                String name = value.strip();
                if (name.isEmpty()) {
                    return; // looks empty, and is no name of what stands below
                }
                if (columns.containsValue(name)) {
                    throw FormatException.of(
                            "%s:%d: two columns are named %s; rename one", file, line, name);
                }
                columns.put(column, name);
            });
        }

        private Row record(Map<Integer, String> values) {
            Map<String, Object> fields = LinkedHashMap.newLinkedHashMap(columns.size());
            columns.forEach((column, name) -> fields.put(name, values.getOrDefault(column, "")));
            values.forEach((column, value) -> {
                if (!columns.containsKey(column)) {
                    String plain = value.strip().replaceAll("\\s+", " ");
                    throw FormatException.of(
                            "%s:%d: the column of the value %s has no name; the first row must name each column, here %s",
                            file,
                            line,
                            plain.length() <= 40 ? plain : plain.substring(0, 40) + "…",
                            columns.values());
                }
            });
            return new Row(file.toString(), line, fields);
        }

        @Override
        public boolean goesOn() {
            return goesOn;
        }

        @Override
        public List<String> notes() {
            List<XlsxBook.Sheet> others =
                    book.sheets().stream().filter(one -> !one.equals(sheet)).toList();
            List<String> names =
                    others.stream()
                            .map(one -> one.name() + (one.isHidden() ? " (hidden)" : ""))
                            .toList();
            return others.isEmpty()
                    ? List.of()
                    : List.of(
                            "%s: the sheet %s is read; not read: %s ({path: %s, name: %s} takes another)"
                                    .formatted(
                                            file,
                                            sheet.name(),
                                            Texts.few(names),
                                            file.getFileName(),
                                            others.getFirst().name()));
        }

        private FormatException unreadable(Exception e) {
            if (e instanceof FormatException told) {
                return told;
            }
            goesOn = false;
            xml = null;
            String message =
                    String.valueOf(e.getMessage())
                            .replaceFirst("(?s)ParseError at (.*)\\nMessage: ", "XML at $1: ")
                            .lines()
                            .findFirst()
                            .orElse("");
            return new FormatException(
                    "%s%s: not a spreadsheet (.xlsx) that can be read: %s; save it anew, or as CSV UTF-8"
                            .formatted(file, line == 0 ? "" : ": behind row " + line, message),
                    e);
        }

        @Override
        public void close() {
            try (XlsxArchive first = archive;
                    XlsxArchive.Xml second = xml) {
                xml = null;
            } catch (IOException _) {
                // nothing was written
            }
        }
    }
}
