package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.error.FormatException;

class JsonLinesTest {
    @TempDir Path folder;

    private List<Row> read(byte[] bytes) throws IOException {
        Path file = folder.resolve("a.jsonl");
        Files.write(file, bytes);
        List<Row> read = new ArrayList<>();
        try (Source.Rows rows = Source.of(file).open()) {
            for (Row row = rows.next(); row != null; row = rows.next()) {
                read.add(row);
            }
        }
        return read;
    }

    private List<Row> read(String text) throws IOException {
        return read(text.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void markBlankLinesCrlfAndNoLastLineFeed_areReadWithExactLines() throws IOException {
        List<Row> rows = read("\uFEFF{\"a\": 1}\r\n\r\n  \n{\"a\": 2}\n\n{\"a\":\t3}");
        assertThat(rows).extracting(Row::line).containsExactly(1, 4, 6);
        assertThat(rows).extracting(r -> r.fields().get("a")).containsExactly(1L, 2L, 3L);
        assertThat(rows.getFirst().file()).isEqualTo(folder.resolve("a.jsonl").toString());
    }

    @Test
    void nestedValues_keepOrderAndType() throws IOException {
        Row row =
                read("{\"z\": {\"y\": [1, 2.5, null, true], \"x\": \"\\u00fc\u2028\"}, \"a\": 99999999999999999999, \"n\": NaN}")
                        .getFirst();
        assertThat(row.fields().keySet()).containsExactly("z", "a", "n");
        Map<?, ?> z = (Map<?, ?>) Objects.requireNonNull(row.fields().get("z"));
        assertThat(z.keySet().toArray()).containsExactly("y", "x");
        assertThat((List<?>) z.get("y")).isEqualTo(Arrays.asList(1L, 2.5, null, true));
        assertThat(z.get("x")).isEqualTo("ü\u2028");
        assertThat(row.fields().get("a")).isEqualTo(new BigInteger("99999999999999999999"));
        assertThat(row.fields().get("n")).isEqualTo(Double.NaN);
    }

    @Test
    void linesAroundTheBufferSize_areReadWhole() throws IOException {
        StringBuilder text = new StringBuilder();
        int[] sizes = {65536 - 9, 65536 - 8, 65536 - 7, 200_000, 1};
        for (int size : sizes) {
            text.append("{\"a\":\"").append("x".repeat(size)).append("\"}\n");
        }
        List<Row> rows = read(text.toString());
        assertThat(rows)
                .extracting(r -> r.text("a").length())
                .containsExactly(65527, 65528, 65529, 200_000, 1);
        assertThat(rows).extracting(Row::line).containsExactly(1, 2, 3, 4, 5);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"a\": }           | :2:7: not JSON: Unexpected character ('}'",
                "{\"a\": 1,}         | :2:9: not JSON: Unexpected character ('}'",
                "{\"a\": 1           | :2:8: not JSON: Unexpected end-of-input",
                "{\"a\": 1} {}       | :2:10: not JSON: more follows behind its end",
                "{\"a\": 1, \"a\": 2} | :2:13: not JSON: Duplicate Object property \"a\"",
                "{'a': 1}            | :2:2: not JSON: Unexpected character ('''",
                "[1, 2]              | :2: the line must be a JSON object, got a list; turn a list of objects into lines",
                "\"text\"            | :2: the line must be a JSON object, got text",
                "null                | :2: the line must be a JSON object, got null",
                "17                  | :2: the line must be a JSON object, got the number 17",
            })
    void brokenLine_isOneLineWithItsPlace(String line, String expected) {
        assertThatThrownBy(() -> read("{\"a\": 1}\n" + line + "\n{\"a\": 3}\n"))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith(folder.resolve("a.jsonl") + expected)
                .message()
                .doesNotContain("\n")
                .doesNotContain("Source:");
    }

    @Test
    void fileThatIsOneList_saysHowToTurnItIntoLines() {
        assertThatThrownBy(() -> read("[\n  {\"a\": 1}\n]\n"))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(
                        ":1: the line must be a JSON object, got the beginning of a list; turn")
                .hasMessageContaining("jq -c '.[]'");
    }

    @Test
    void bytesThatAreNotUtf8_nameTheLine() {
        byte[] latin1 = "{\"a\": \"x\"}\n{\"a\": \"ü\"}\n".getBytes(StandardCharsets.ISO_8859_1);
        assertThatThrownBy(() -> read(latin1))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(
                        "a.jsonl:2: the byte 0xFC is not UTF-8; save the file as UTF-8");
    }

    @Test
    void deepNesting_isRefusedNotOverflowing() {
        assertThatThrownBy(() -> read("[".repeat(100_000))).isInstanceOf(FormatException.class);
        assertThatThrownBy(() -> read("{\"a\":".repeat(100_000)))
                .isInstanceOf(FormatException.class);
    }

    @Test
    void missingFileFolderOrOtherKind_isNamed() throws IOException {
        assertThatThrownBy(() -> Source.of(folder.resolve("no.jsonl")))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("no.jsonl does not exist");
        assertThatThrownBy(() -> Source.of(folder)).hasMessageContaining("is a folder");
        Path table = Files.writeString(folder.resolve("a.xml"), "PAR1");
        assertThatThrownBy(() -> Source.of(table))
                .hasMessageContaining("a.xml is of a kind that is not read");
    }
}
