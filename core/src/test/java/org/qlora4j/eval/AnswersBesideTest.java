package org.qlora4j.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AnswersBesideTest {
    @TempDir Path folder;

    private Path file(String name, String... lines) throws IOException {
        return Files.writeString(folder.resolve(name), String.join("\n", lines) + "\n");
    }

    /** The second file has its lines in another order; what models write is no markup. */
    @Test
    void answers_standBesideEachOtherByPrompt() throws IOException {
        Path base =
                file(
                        "base.jsonl",
                        "{\"prompt\": \"A?\", \"category\": \"facts\", \"look_for\": \"a\", \"answer\": \"<b>one</b>\"}",
                        "{\"prompt\": \"B?\", \"answer\": \"two\"}");
        Path tuned =
                file(
                        "tuned.jsonl",
                        "{\"prompt\": \"B?\", \"answer\": \"four\"}",
                        "{\"prompt\": \"A?\", \"answer\": \"three\"}");
        AnswersBeside beside = new AnswersBeside(List.of(base, tuned));
        assertThat(beside.prompts()).isEqualTo(2);
        assertThat(beside.html())
                .containsSubsequence(
                        "A?",
                        "category: facts",
                        "look for: a",
                        "base",
                        "&lt;b&gt;one&lt;/b&gt;",
                        "tuned",
                        "three",
                        "B?",
                        "two",
                        "four")
                .doesNotContain("<b>one", "http");
    }

    @Test
    void missingAnswers_areNamed() throws IOException {
        Path base = file("base.jsonl", "{\"prompt\": \"A?\", \"answer\": \"one\"}");
        Path other = file("other.jsonl", "{\"prompt\": \"B?\", \"answer\": \"two\"}");
        assertThatThrownBy(() -> new AnswersBeside(List.of(base, other)))
                .hasMessageEndingWith("other.jsonl has no answer to: A?");
        Path prompts = file("prompts.jsonl", "{\"prompt\": \"A?\"}");
        assertThatThrownBy(() -> new AnswersBeside(List.of(prompts)))
                .hasMessageContaining("prompts.jsonl: record 1 has no prompt and answer");
    }
}
