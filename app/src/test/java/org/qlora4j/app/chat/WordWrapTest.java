package org.qlora4j.app.chat;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WordWrapTest {
    /** Rows stand for line ends. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "one two three        | 7  | one two/three",
                "one two three        | 8  | one two/three",
                "one two three        | 13 | one two three",
                "abcdefghij k         | 4  | abcd/efgh/ij k",
                "x abcdefghij         | 4  | x/abcd/efgh/ij",
                "`a/  b c`            | 4  | `a/  b/c`",
                "a//b                 | 9  | a//b",
                "ein Wort 漢字漢字漢   | 8  | ein Wort/漢字漢字/漢",
            })
    void texts_breakBetweenWords(String text, int width, String rows) {
        String whole = text.replace('/', '\n');
        WordWrap wrap = new WordWrap(width);
        assertThat(wrap.push(whole) + wrap.finish()).isEqualTo(rows.replace('/', '\n'));
        WordWrap piecewise = new WordWrap(width);
        StringBuilder out = new StringBuilder();
        whole.codePoints().forEach(c -> out.append(piecewise.push(Character.toString(c))));
        assertThat(out + piecewise.finish()).isEqualTo(rows.replace('/', '\n'));
    }

    @Test
    void noRow_isTooWide() {
        String text = "a bb ccc dddd eeeee ffffff  ggg\n    hh 漢字 ".repeat(5);
        IntStream.range(4, 40)
                .forEach(width -> {
                    WordWrap wrap = new WordWrap(width);
                    String rows = wrap.push(text) + wrap.finish();
                    assertThat(rows.lines()).allMatch(row -> WordWrap.cells(row) <= width);
                    assertThat(rows.replaceAll("\\s", "")).isEqualTo(text.replaceAll("\\s", ""));
                });
    }
}
