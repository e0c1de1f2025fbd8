package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.tokenize.Tokenizer;

class ExampleViewTest {
    @ParameterizedTest
    @ValueSource(strings = {"llama", "chatml"})
    void learntRuns_areSetOff(String name) {
        try (Tokenizer tokenizer = References.tokenizer(name)) {
            int[] prompt = tokenizer.encode("The capital");
            int[] ids = tokenizer.encode("The capital of");
            BitSet labelled = new BitSet();
            labelled.set(1, prompt.length);
            labelled.set(ids.length - 1);
            Example example = new Example(ids, labelled, "a.jsonl", 7, ids.length, false);
            String plain = ExampleView.show(example, tokenizer, false);
            assertThat(plain)
                    .startsWith(
                            "a.jsonl:7: %d tokens, %d trained ([[so]])"
                                    .formatted(ids.length, prompt.length));
            String text =
                    plain.substring(
                            plain.indexOf(System.lineSeparator())
                                    + System.lineSeparator().length());
            assertThat(text.replace("[[", "").replace("]]", "")).isEqualTo("The capital of");
            assertThat(text).endsWith("]]").containsPattern("\\[\\[.+\\]\\].*\\[\\[.+\\]\\]$");
            String bold = ExampleView.show(example, tokenizer, true);
            assertThat(bold.replace("\u001b[1m", "[[").replace("\u001b[0m", "]]")).endsWith(text);
        }
    }

    @Test
    void controlCharactersInData_areEscaped() {
        try (Tokenizer tokenizer = References.tokenizer("chatml")) {
            int[] ids = tokenizer.encode("a\u001b[2J\r\n\tb");
            Example example = new Example(ids, new BitSet(), "a.jsonl", 1, ids.length, false);
            assertThat(ExampleView.show(example, tokenizer, true))
                    .endsWith("a\\u001b[2J\\u000d\n\tb");
        }
    }
}
