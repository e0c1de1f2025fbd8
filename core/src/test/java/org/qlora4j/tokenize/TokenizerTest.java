package org.qlora4j.tokenize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.ChatTemplate;

/** A word-level tokenizer of a handful of tokens, written here. */
class TokenizerTest {
    private static final String TOKENIZER =
            """
            {"version": "1.0", "truncation": null, "padding": null,
             "added_tokens": [
               {"id": 4, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true},
               {"id": 5, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true}],
             "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
             "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "a": 1, "b": 2, "c": 3}, "unk_token": "<unk>"}}
            """;

    @TempDir Path folder;

    @BeforeEach
    void writeTokenizer() throws IOException {
        write("tokenizer.json", TOKENIZER);
    }

    private void write(String name, String text) throws IOException {
        Files.writeString(folder.resolve(name), text);
    }

    @Test
    void tokenizerAlone_hasNoSpecialTokens() {
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            assertThat(tokenizer.encode("a b <s> nope")).containsExactly(1, 2, 4, 0);
            assertThat(tokenizer.vocabSize()).isEqualTo(6);
            assertThat(tokenizer.tokenId("</s>")).hasValue(5);
            assertThat(tokenizer.bosId()).isEmpty();
            assertThat(tokenizer.eosId()).isEmpty();
            assertThat(tokenizer.chatTemplate()).isEmpty();
        }
    }

    @Test
    void specialTokens_comeFromTheFirstFileThatNamesThem() throws IOException {
        write(
                "tokenizer_config.json",
                "{\"bos_token\": {\"content\": \"<s>\"}, \"pad_token\": null}");
        write(
                "special_tokens_map.json",
                "{\"bos_token\": \"a\", \"unk_token\": \"<unk>\", \"pad_token\": \"b\"}");
        write("config.json", "{\"eos_token_id\": 3, \"pad_token_id\": 1}");
        write("generation_config.json", "{\"eos_token_id\": [5, 3]}");
        write("chat_template.jinja", "{{ bos_token }}{{ eos_token }}{{ pad_token is defined }}");
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            assertThat(tokenizer.bosId()).hasValue(4);
            assertThat(tokenizer.unkId()).hasValue(0);
            assertThat(tokenizer.eosId()).hasValue(5);
            assertThat(tokenizer.padId()).as("null in tokenizer_config.json means none").isEmpty();
            assertThat(tokenizer.specialTokens())
                    .containsEntry("eos_token", "</s>")
                    .doesNotContainKey("pad_token");
            ChatTemplate template = tokenizer.chatTemplate().orElseThrow();
            assertThat(template.render(java.util.List.of(), null, false, java.util.Map.of()))
                    .isEqualTo("<s></s>False");
        }
    }

    /** DJL would download a CUDA build of its library where it sees a GPU. */
    @Test
    void nativeLibrary_isNeverDownloaded() {
        Tokenizer.load(folder).close();
        assertThat(System.getProperty("RUST_FLAVOR")).isEqualTo("cpu");
        assertThat(System.getProperty("ai.djl.offline")).isEqualTo("true");
    }

    @Test
    void missingTokenizer_saysSo() throws IOException {
        Path file = folder.resolve("tokenizer.json");
        Files.delete(file);
        assertThatThrownBy(() -> Tokenizer.load(folder))
                .isInstanceOf(FormatException.class)
                .hasMessage(file + " is missing; it comes with the model's checkpoint");
    }

    @Test
    void damagedFiles_areOneLineWithTheFile() throws IOException {
        Path file = folder.resolve("tokenizer.json");
        for (String text :
                new String[] {
                    "{", "[]", "", "{\"model\": {\"vocab\": {\"a\": \"x\"}}}", "{\"model\": 5}"
                }) {
            write("tokenizer.json", text);
            assertThatThrownBy(() -> Tokenizer.load(folder))
                    .as(text)
                    .isInstanceOf(FormatException.class)
                    .hasMessageStartingWith(file.toString())
                    .hasMessageNotContaining("\n");
        }
        write("tokenizer.json", TOKENIZER.replace("WordLevel", "NoSuchModel"));
        assertThatThrownBy(() -> Tokenizer.load(folder))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith(file + " cannot be read: ")
                .hasMessageNotContaining("\n");
        write("tokenizer.json", TOKENIZER);
        write("config.json", "{\"eos_token_id\": \"x\"}");
        assertThatThrownBy(() -> Tokenizer.load(folder))
                .isInstanceOf(FormatException.class)
                .hasMessage(
                        folder.resolve("config.json")
                                + ": eos_token_id must be an integer, got \"x\"");
    }

    @Test
    void unigramVocabulary_isAListOfPieces() throws IOException {
        write(
                "tokenizer.json",
                """
                {"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
                 "post_processor": null, "decoder": null,
                 "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.5], ["b", -2]]}}
                """);
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            assertThat(tokenizer.vocabSize()).isEqualTo(3);
            assertThat(tokenizer.tokenId("b")).hasValue(2);
            assertThat(tokenizer.encode("ab")).containsExactly(1, 2);
        }
    }
}
