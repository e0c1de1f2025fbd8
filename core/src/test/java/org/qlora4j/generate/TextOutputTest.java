package org.qlora4j.generate;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.testing.TinyLlama;
import org.qlora4j.tokenize.Tokenizer;

/** Letters are tokens of their own in the small tokenizer. */
class TextOutputTest {
    @ParameterizedTest
    @CsvSource({
        "hello world, lo w, hel",
        "hello world, 'zz|o|world', hell",
        "hello world, xyz, hello world",
        "aaab, aab, a",
        "hello worl, world, 'hello worl'",
        "ab, ab, ''",
    })
    void textEnds_beforeTheFirstStopString(String text, String stops, String expected) {
        List<String> pieces = new ArrayList<>();
        try (Tokenizer tokenizer = Tokenizer.load(TinyLlama.folder())) {
            TextOutput output =
                    new TextOutput(tokenizer.stream(true), List.of(stops.split("\\|", -1)));
            for (int id : tokenizer.encode("text", text, false)) {
                pieces.add(output.push(id));
            }
            pieces.add(output.finish());
            assertThat(String.join("", pieces)).isEqualTo(expected);
            assertThat(output.isStopped()).isEqualTo(!expected.equals(text));
        }
    }

    /** What can no longer begin a stop string is given at once. */
    @Test
    void onlyWhatMayBeginAStop_isHeldBack() {
        try (Tokenizer tokenizer = Tokenizer.load(TinyLlama.folder())) {
            TextOutput output = new TextOutput(tokenizer.stream(true), List.of("cde"));
            List<String> pieces = new ArrayList<>();
            for (int id : tokenizer.encode("text", "bcdbcdf", false)) {
                pieces.add(output.push(id));
            }
            assertThat(pieces).endsWith("b", "", "", "cdb", "", "", "cdf");
        }
    }
}
