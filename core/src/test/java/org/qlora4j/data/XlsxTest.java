package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.OutputStream;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.json.JsonMapper;

/** Spreadsheets written by XlsxWriter, their texts as openpyxl reads them, and damaged ones. */
class XlsxTest {
    private static final String SHEET = "xl/worksheets/sheet2.xml";

    @TempDir Path folder;
    private List<String> notes = List.of();

    private static Path resource(String name) {
        try {
            return Path.of(
                    Objects.requireNonNull(XlsxTest.class.getResource("sources/" + name), name)
                            .toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    private List<Row> read(Path file, String sheet) {
        List<Row> all = new ArrayList<>();
        try (Source.Rows rows = Source.of(file, TextEncoding.FOUND, sheet).open()) {
            for (Row row = rows.next(); row != null; row = rows.next()) {
                all.add(row);
            }
            assertThat(rows.next()).isNull();
            notes = rows.notes();
        }
        return all;
    }

    /** Strangers' files: whatever byte of whatever part is another, rows come or one line. */
    @Test
    void anyOtherByte_givesRowsOrOneLine() throws IOException {
        Random random = new Random(13);
        int refused = 0;
        for (int i = 0; i < 300; i++) {
            Path file =
                    changed(
                            "",
                            content -> {
                                for (int n = random.nextInt(4); n >= 0; n--) {
                                    content[random.nextInt(content.length)] =
                                            (byte) (32 + random.nextInt(224));
                                }
                                return content;
                            });
            try {
                read(file, "");
            } catch (FormatException e) {
                refused++;
                assertThat(e).message().startsWith(file.toString()).doesNotContain("\n");
            }
        }
        assertThat(refused).isBetween(100, 300);
    }

    /** The workbook of kinds with a part of one of its files replaced. */
    private Path changed(String entry, String from, String to) throws IOException {
        return changed(
                entry,
                content -> {
                    String text = new String(content, StandardCharsets.UTF_8);
                    assertThat(text).contains(from);
                    return text.replace(from, to).getBytes(StandardCharsets.UTF_8);
                });
    }

    /** The workbook of kinds with other bytes in one of its files, or in each. */
    private Path changed(String entry, UnaryOperator<byte[]> change) throws IOException {
        Path file = folder.resolve("changed.xlsx");
        try (ZipFile in = new ZipFile(resource("kinds.xlsx").toFile());
                OutputStream bytes = Files.newOutputStream(file);
                ZipOutputStream out = new ZipOutputStream(bytes)) {
            for (var e : java.util.Collections.list(in.entries())) {
                out.putNextEntry(new ZipEntry(e.getName()));
                byte[] content = in.getInputStream(e).readAllBytes();
                out.write(
                        entry.isEmpty() || e.getName().equals(entry)
                                ? change.apply(content)
                                : content);
            }
        }
        return file;
    }

    @ParameterizedTest
    @ValueSource(strings = {"kinds.xlsx", "old.xlsx"})
    void everyKindOfValue_isTheTextOfIt(String name) throws IOException {
        Map<?, ?> expected =
                JsonMapper.shared().readValue(Files.readString(resource("kinds.json")), Map.class);
        Map<String, Object> texts = new LinkedHashMap<>();
        List<Row> rows = read(resource(name), "");
        rows.forEach(row -> texts.put(row.text("kind"), row.text("value")));
        if (name.equals("old.xlsx")) { // no day before 1904 is in it
            texts.put("early", "1900-01-15");
        }
        assertThat(texts).isEqualTo(expected);
        assertThat(rows).extracting(row -> row.text("note")).containsOnly("");
        assertThat(rows.getFirst().line()).isEqualTo(3); // an empty row stands behind the names
    }

    @Test
    void otherSheets_areNamedAndMayBeChosen() {
        Path file = resource("kinds.xlsx");
        read(file, "");
        assertThat(notes)
                .containsExactly(
                        file
                                + ": the sheet Kinds is read; not read: Notes (hidden), Other, Last"
                                + " ({path: kinds.xlsx, name: Notes} takes another)");
        assertThat(read(file, "Other"))
                .extracting(Row::fields)
                .containsExactly(Map.of("q", "1", "a", "2"));
        assertThatThrownBy(() -> read(file, "Othr"))
                .isInstanceOf(FormatException.class)
                .hasMessage(file + " has no sheet Othr; its sheets are Notes, Kinds, Other, Last");
    }

    @Test
    void errorInACell_isNamedAndReadingGoesOn() throws IOException {
        Path file =
                changed(SHEET, "<c r=\"B3\"><v>42</v></c>", "<c r=\"B3\" t=\"e\"><v>#N/A</v></c>");
        try (Source.Rows rows = Source.of(file).open()) {
            assertThatThrownBy(rows::next)
                    .isInstanceOf(FormatException.class)
                    .hasMessage(file + ":3: cell B3 holds the error #N/A; mend or empty it");
            assertThat(rows.goesOn()).isTrue();
            @Nullable Row next = rows.next();
            assertThat(Objects.requireNonNull(next).fields()).containsEntry("kind", "long");
        }
    }

    @ParameterizedTest(name = "{1} for {0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "<c r=\"B3\"><v>42</v></c>|<c r=\"E3\"><v>42</v></c>|:3: the column of the value 42 has no name; the first row must name each column, here [kind, value, note]",
                "<c r=\"B3\"><v>42</v></c>|<c t=\"e\"><v>#N/A</v></c>|:3: cell B3 holds the error #N/A; mend or empty it",
                "<c r=\"B1\" t=\"s\"><v>6</v></c>|<c r=\"B1\" t=\"str\"><v> </v></c>|:3: the column of the value 42 has no name; the first row must name each column, here [kind, note]",
                "<c r=\"B3\"><v>42</v></c>|<c r=\"B3\"><v>4z2</v></c>|behind row 3: not a spreadsheet (.xlsx) that can be read: For input string: \"4z2\"",
                "<c r=\"B3\"><v>42</v></c>|<c r=\"ZZZZZZ3\"><v>4</v></c>|not a spreadsheet (.xlsx) that can be read: it has a cell ZZZZZZ3; save it anew, or as CSV UTF-8",
                "<c r=\"B3\"><v>42</v></c>|<c r=\"B3\" t=\"s\"><v>99999999</v></c>|not a spreadsheet (.xlsx) that can be read: Index 99999999 out of bounds",
                "</sheetData>|</sheetDat>|not a spreadsheet (.xlsx) that can be read",
            })
    void damagedSheet_isOneLine(String from, String to, String message) throws IOException {
        Path file = changed(SHEET, from, to);
        assertThatThrownBy(() -> read(file, ""))
                .isInstanceOf(FormatException.class)
                .message()
                .startsWith(file.toString())
                .contains(message)
                .doesNotContain("\n");
    }

    @Test
    void damagedArchive_isOneLine() throws IOException {
        byte[] whole = Files.readAllBytes(resource("kinds.xlsx"));
        Path file = folder.resolve("a.xlsx");
        Files.write(file, java.util.Arrays.copyOf(whole, whole.length / 2));
        assertThatThrownBy(() -> read(file, ""))
                .isInstanceOf(FormatException.class)
                .hasMessageMatching(".*a.xlsx: not a spreadsheet \\(.xlsx\\) that can be read: .*");
        byte[] flipped = whole.clone();
        int at = new String(whole, StandardCharsets.ISO_8859_1).indexOf(SHEET);
        flipped[at + SHEET.length() + 100] ^= 1;
        Files.write(file, flipped);
        assertThatThrownBy(() -> read(file, "")).isInstanceOf(FormatException.class);
        Files.write(file, new byte[] {(byte) 0xD0, (byte) 0xCF, 0x11, (byte) 0xE0, 0});
        assertThatThrownBy(() -> read(file, ""))
                .hasMessageContaining("is of Excel before 2007 or has a password");
        Files.writeString(file, "q,a\n");
        assertThatThrownBy(() -> read(file, "")).isInstanceOf(FormatException.class);
    }

    /** 300 MiB of blanks in 300 kB: more than any table, and more than the text of one. */
    @Test
    void bomb_isRefusedBeforeItIsRead() throws IOException {
        Path file = folder.resolve("bomb.xlsx");
        byte[] blanks = new byte[1 << 20];
        java.util.Arrays.fill(blanks, (byte) ' ');
        try (OutputStream bytes = Files.newOutputStream(file);
                ZipOutputStream out = new ZipOutputStream(bytes)) {
            out.putNextEntry(new ZipEntry("xl/workbook.xml"));
            for (int i = 0; i < 300; i++) {
                out.write(blanks);
            }
        }
        assertThatThrownBy(() -> read(file, ""))
                .isInstanceOf(FormatException.class)
                .hasMessage(
                        file
                                + " unpacks to more than 100 times its size, as no table does; save it as CSV UTF-8");
    }
}
