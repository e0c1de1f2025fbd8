package org.qlora4j.app.chat;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TypedTest {
    /** A tilde stands for a line end. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "one           | true  | one",
                "one\\          | false | one\\",
                "one\\~two      | true  | one~two",
                "\"\"\"one~two    | false | \"\"\"one~two",
                "\"\"\"one~two\"\"\" | true  | one~two",
                "\"\"\"~one~~two~\"\"\" | true  | one~~two",
                "\"\"\"           | false | \"\"\"",
                "one \"\"\" two   | true  | one \"\"\" two",
            })
    void lines_makeMessages(String typed, boolean whole, String message) {
        String text = typed.replace('~', '\n');
        assertThat(Typed.isWhole(text)).isEqualTo(whole);
        assertThat(Typed.message(text)).isEqualTo(message.replace('~', '\n'));
    }
}
