package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.json.JsonMapper;

/** One set of rows in every kind of file, written by Python's csv, json, pyarrow and zstandard. */
class SourceTest {
    @TempDir Path folder;

    private static Path resource(String name) {
        try {
            return Path.of(
                    Objects.requireNonNull(SourceTest.class.getResource("sources/" + name), name)
                            .toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    private static List<Row> read(Path file) {
        return read(file, TextEncoding.FOUND);
    }

    private static List<Row> read(Path file, TextEncoding encoding) {
        List<Row> all = new ArrayList<>();
        try (Source.Rows rows = Source.of(file, encoding, "").open()) {
            for (Row row = rows.next(); row != null; row = rows.next()) {
                all.add(row);
            }
            assertThat(rows.next()).isNull(); // and stays at the end
        }
        return all;
    }

    private Path write(String name, String text) throws IOException {
        return Files.write(folder.resolve(name), text.getBytes(StandardCharsets.UTF_8));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "rows.jsonl",
                "rows.jsonl.gz",
                "rows.jsonl.zst",
                "list.json",
                "list.json.gz",
                "rows.csv",
                "rows.csv.gz",
                "rows.csv.zst",
                "semicolon.csv",
                "tabs.csv",
                "rows.tsv",
                "rows.xlsx",
                "inline.xlsx",
                "none.parquet",
                "snappy.parquet",
                "gzip.parquet",
                "zstd.parquet"
            })
    void sameRows_areReadFromEveryKindOfFile(String name) throws IOException {
        Object expected =
                JsonMapper.shared().readValue(Files.readString(resource("rows.json")), List.class);
        assertThat(read(resource(name))).extracting(Row::fields).isEqualTo(expected);
    }

    @ParameterizedTest
    @ValueSource(strings = {"nested.json", "nested.parquet"})
    void nestedRows_equalThoseOfJsonLines(String name) {
        List<Row> expected = read(resource("nested.jsonl"));
        List<Row> rows = read(resource(name));
        assertThat(rows)
                .hasSize(42)
                .extracting(Row::fields)
                .isEqualTo(expected.stream().map(Row::fields).toList());
        assertThat(rows.getLast().line()).isEqualTo(name.endsWith("json") ? 607 : 42);
    }

    @Test
    void quotedLineEnds_countAsLines() throws IOException {
        Path file = write("a.csv", "q,a\r\n\"1\r\n2\",x\r\n\r\n3,y\n4,\"z\"");
        assertThat(read(file)).extracting(Row::line).containsExactly(2, 5, 6);
        assertThat(read(file))
                .extracting(Row::fields)
                .containsExactly(
                        Map.of("q", "1\r\n2", "a", "x"),
                        Map.of("q", "3", "a", "y"),
                        Map.of("q", "4", "a", "z"));
    }

    /** As Excel saves it: with a line that names the separator, or in UTF-16 with its mark. */
    @Test
    void tablesOfExcel_areReadAsTheyAre() throws IOException {
        Path told = write("told.csv", "sep=;\r\nFrage;Antwort\r\nA, b?;Ja\r\n");
        Path wide = folder.resolve("wide.csv");
        byte[] text = "Frage\tAntwort\r\nWarum?\tSüß\r\n".getBytes(StandardCharsets.UTF_16LE);
        byte[] marked = new byte[text.length + 2];
        marked[0] = (byte) 0xFF;
        marked[1] = (byte) 0xFE;
        System.arraycopy(text, 0, marked, 2, text.length);
        Files.write(wide, marked);
        assertThat(read(told))
                .extracting(Row::fields)
                .containsExactly(Map.of("Frage", "A, b?", "Antwort", "Ja"));
        assertThat(read(told)).extracting(Row::line).containsExactly(3);
        assertThat(read(wide))
                .extracting(Row::fields)
                .containsExactly(Map.of("Frage", "Warum?", "Antwort", "Süß"));
    }

    @ParameterizedTest(name = "{0} {1}")
    @CsvSource(
            delimiter = '|',
            value = {
                "a.csv|q,a~1,2~1,2,3|:3: 3 values for the 2 columns [q, a]; put quotes around a value that holds the separator",
                "a.csv|q,a~1,2~1|:3: 1 values for the 2 columns [q, a]; put quotes around a value that holds the separator",
                "a.csv|q,a~1,2~\"1,2~3,4|not CSV after line 2",
                "a.csv|q,a~1,2~\"1\"x,2|not CSV after line 2",
                "a.csv|q,q~1,2|:1: two columns are named q; rename one",
                "a.csv|q,,b~1,2,3|:1: a column of [q, , b] has no name; the first line must name each column",
                "a.json|[{\"a\": 1},~ {\"a\": }]|:2:8: not JSON: Unexpected character ('}' (code 125))",
                "a.json|[{\"a\": 1},~ 2]|:2:2: each item must be a JSON object, got the number 2",
                "a.json|[{\"a\": 1}~|not JSON: Unexpected end-of-input",
                "a.json|[{\"a\": 1}]~[]|:2:1: more follows after the end of the list",
                "a.json|[{\"a\": 1, \"a\": 2}]|:1:14: not JSON: Duplicate Object property \"a\"",
                "a.parquet|PAR1 broken PAR1|not a Parquet file that can be read",
                "a.jsonl.gz|{}|a.jsonl.gz cannot be read: Not in GZIP format; is the file whole?",
                "a.jsonl.zst|{}|a.jsonl.zst cannot be read: Unknown frame descriptor; is the file whole?",
                "a.parquet.gz|x|is of a kind that is not read; give .jsonl",
                "a.xls|x|is of a kind that is not read; save it as .xlsx or as CSV UTF-8; give .jsonl",
                "a.docx|x|is of a kind that is not read; save it as plain text (.txt); give .jsonl",
            })
    void brokenFiles_areRefusedWithPlaceAndReason(String name, String text, String message)
            throws IOException {
        Path file = write(name, text.replace('~', '\n'));
        assertThatThrownBy(() -> read(file))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith(file.toString())
                .hasMessageContaining(message)
                .hasMessageNotContaining("\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"rows.jsonl.gz", "rows.csv.zst", "zstd.parquet"})
    void cutFiles_areRefused(String name) throws IOException {
        byte[] whole = Files.readAllBytes(resource(name));
        Path file = folder.resolve(name);
        Files.write(file, java.util.Arrays.copyOf(whole, whole.length - 9));
        assertThatThrownBy(() -> read(file))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith(file.toString());
    }

    /** Windows-1252 of every kind of text: where UTF-8 is expected the line of the byte is told. */
    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "a.csv|q,a~1,x~2,Größe €~|3",
                "a.csv|sep=,~q,a~2,Größe €~|3",
                "a.csv|q,a~\"1~2\",Größe €~|3",
                "a.tsv|q\ta~2\tGröße €~|2",
                "a.jsonl|{\"q\": \"1\"}~~{\"a\": \"Größe €\"}~|3",
                "a.json|[{\"q\": \"1\"},~ {\"a\": \"Größe €\"}]~|2",
                "a.txt|Die~große~Größe €~|2",
            })
    void otherEncoding_isReadWhereItIsTold(String name, String text, int line) throws IOException {
        String lines = text.replace("~", "\r\n").replace("\\t", "\t");
        byte[] bytes = lines.getBytes(Charset.forName("windows-1252"));
        Path file = folder.resolve(name);
        Files.write(file, bytes);
        assertThatThrownBy(() -> read(file, told(null)))
                .isInstanceOf(FormatException.class)
                .hasMessageMatching(
                        ".*a[.]\\w+:%d: the byte 0x(F6|DF) is not UTF-8; say what the file is, e.g. data.encoding: windows-1252, or save it.*"
                                .formatted(line));
        List<Row> expected = read(write("utf8" + name, lines));
        for (String spelt : List.of("windows-1252", "cp1252", "latin_1", "ISO-8859-1")) {
            assertThat(read(file, told(spelt)))
                    .extracting(Row::line, Row::fields)
                    .isEqualTo(expected.stream().map(r -> tuple(r.line(), r.fields())).toList())
                    .last()
                    .asString()
                    .contains("Größe €");
        }
        for (String charset : List.of("UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-8")) {
            for (String mark : List.of("\uFEFF", charset.contains("32") ? "\uFEFF" : "")) {
                Files.write(file, (mark + lines).getBytes(Charset.forName(charset)));
                assertThat(read(file, told(null)))
                        .extracting(Row::line, Row::fields)
                        .isEqualTo(
                                expected.stream().map(r -> tuple(r.line(), r.fields())).toList());
            }
        }
    }

    /** Longer than every buffer, with characters of two units at their ends. */
    @Test
    void longFileOfAnotherEncoding_losesNoLetter() throws IOException {
        String ship = "a" + "🚢".repeat(100_000);
        String text = "{\"a\": \"" + ship + "\"}\n";
        Path file = folder.resolve("a.jsonl");
        Files.write(file, text.getBytes(StandardCharsets.UTF_16LE));
        assertThat(read(file)).extracting(row -> row.text("a")).containsExactly(ship);
        Files.write(file, ship.getBytes(StandardCharsets.UTF_16BE));
        Path texts = Files.move(file, folder.resolve("a.md"));
        assertThat(read(texts, told("utf_16")))
                .extracting(row -> row.text("text"))
                .containsExactly(ship);
        Files.write(texts, (ship + "\n").getBytes(StandardCharsets.UTF_8));
        Files.write(texts, new byte[] {'\n', (byte) 0x81}, StandardOpenOption.APPEND);
        assertThatThrownBy(() -> read(texts))
                .hasMessageContaining("a.md:3: the byte 0x81 is not UTF-8; save the file as UTF-8");
        assertThatThrownBy(() -> read(texts, told("windows-1252")))
                .hasMessageContaining(
                        "is not Windows-1252; data.encoding says that it is; name another there");
        byte[] marked = {(byte) 0xEF, (byte) 0xBB, (byte) 0xBF, 'a', (byte) 0x81};
        Files.write(texts, marked); // the mark decides, whatever was told
        assertThatThrownBy(() -> read(texts, told("windows-1252")))
                .hasMessageContaining("a.md:1: the byte 0x81 is not UTF-8; save the file as UTF-8");
    }

    private static TextEncoding told(@Nullable String name) {
        return new TextEncoding(name == null ? null : TextEncoding.charset(name), "data.encoding");
    }
}
