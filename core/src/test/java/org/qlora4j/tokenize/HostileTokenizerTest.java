package org.qlora4j.tokenize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.UserException;
import org.qlora4j.model.EmbeddedModel;

/** Tokenizers and texts on which Hugging Face's own, in Rust, ends the process. */
class HostileTokenizerTest {
    @TempDir Path folder;

    private static final String BPE =
            """
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
             "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
             "vocab": {"a": 0, "b": 1, "ab": 2, " ": 3}, "merges": ["a b"]}\
            """;

    private Tokenizer tokenizer(String parts) throws IOException {
        Files.writeString(
                folder.resolve("tokenizer.json"), "{\"version\": \"1.0\", " + parts + "}");
        return Tokenizer.load(folder);
    }

    @ParameterizedTest
    @CsvSource({
        "SEGV-nested-regex-groups, nested more than 50 deep",
        "fixedlength-0, 'pre_tokenizer.length must be an integer of at least 1, got 0'",
        "onig-retry-limit, a repeat inside a repeat can backtrack without end",
        "precompiled-empty, 'precompiled_charsmap is damaged: its table has -1 bytes, of 0 that are there'",
        "strip-decoder, 'decoder.stop must be 0'",
        "template-missing-special, 'post_processor.special_tokens lacks [CLS], which post_processor.single names'"
    })
    void fileThatEndsTheProcess_isRefusedInOneLine(String name, String reason) throws IOException {
        String resource = "/hostile/tokenizer-json/" + name + ".tokenizer.json";
        try (InputStream in = HostileTokenizerTest.class.getResourceAsStream(resource)) {
            Files.copy(in, folder.resolve("tokenizer.json"));
        }
        assertThatThrownBy(() -> Tokenizer.load(folder))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("tokenizer.json: ")
                .hasMessageContaining(reason)
                .hasMessageNotContaining("\n");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "(a|aa)+$",
                "(a*)*b",
                "(?:a+b?)+c",
                "(a?){30}b",
                "(?<n>a)\\\\k<n>",
                "(?<x>a\\\\g<x>?)",
                "(a{200}){200}",
                "(?{callout})",
                "(?~a)",
                "(?x) a # b",
                "(",
                "[a",
                "a)"
            })
    void patternThatMayNotEnd_isRefused(String regex) {
        assertThatThrownBy(() ->
                        tokenizer(
                                BPE
                                        + ", \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \""
                                        + regex
                                        + "\"}, \"behavior\": \"Isolated\", \"invert\": false}"))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("pre_tokenizer.pattern.Regex: the regular expression")
                .hasMessageContaining("is not run: ");
    }

    /** Patterns of models in use: GPT-4 (cl100k), o200k, DeepSeek V3, Falcon, CLIP, XLM-R. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s",
                "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
                "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
                "[一-龥぀-ゟ゠-ヿ]+",
                "\\p{N}{1,3}",
                "[0-9][0-9][0-9]",
                "(?=(\\d{3})+(?!\\d))",
                "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+",
                " {2,}",
                "[^(\\s|[.,!?…。，、।۔،])]+",
                "\\p{Han}+|[[:alpha:]]+",
                "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
            })
    void patternOfAModelInUse_isRun(String regex) {
        PatternGuard guard = PatternGuard.of(regex, "t");
        guard.check("The quick brown 漢字 fox's 1234567 jumps!! \n\n  over  \t".repeat(2000));
    }

    @Test
    void patternThatSearchesTooLong_refusesTheTextAlone() throws IOException {
        try (Tokenizer tokenizer =
                tokenizer(
                        BPE
                                + ", \"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"a*a*a*c\"}, \"content\": \"\"}")) {
            assertThat(tokenizer.encode("aab")).containsExactly(0, 2);
            assertThatThrownBy(() -> tokenizer.encode("a".repeat(20_000)))
                    .isInstanceOf(FormatException.class)
                    .hasMessage(
                            "a text of 20000 characters makes the tokenizer's regular expression a*a*a*c search too long; shorten it");
        }
    }

    @Test
    void addedTokenThatNormalizesToNothing_isRefused() {
        assertThatThrownBy(() ->
                        tokenizer(
                                """
                                "added_tokens": [{"id": 4, "content": "\\u0301", "single_word": false, "lstrip": false,
                                  "rstrip": false, "normalized": true, "special": false}],
                                "normalizer": {"type": "StripAccents"},\
                                """
                                        + BPE))
                .hasMessageContaining("the normalizer leaves nothing of the added token");
    }

    @Test
    void mergeWithoutItsPrefix_isRefused() {
        assertThatThrownBy(() ->
                        tokenizer(
                                BPE.replace(
                                        "\"continuing_subword_prefix\": null",
                                        "\"continuing_subword_prefix\": \"##\"")))
                .hasMessageContaining(
                        "a merge of \"b\" lacks model.continuing_subword_prefix \"##\"");
    }

    @Test
    void wrongType_isNamedWithItsKey() {
        assertThatThrownBy(() -> tokenizer(BPE.replace("\"b\": 1", "\"b\": \"x\"")))
                .hasMessageEndingWith(
                        "tokenizer.json: an id of model.vocab must be an integer from 0 to 67108864, got text");
        assertThatThrownBy(() -> tokenizer(BPE + ", \"pre_tokenizer\": [1]"))
                .hasMessageEndingWith(
                        "tokenizer.json: pre_tokenizer must be an object or null, got [1]");
        assertThatThrownBy(() -> tokenizer(BPE + ", \"decoder\": {\"type\": \"Rot13\"}"))
                .hasMessageContaining("tokenizer.json: decoder.type Rot13 is unknown; known are ");
    }

    @ParameterizedTest
    @ValueSource(strings = {" ", "\t", "\n", "\u00a0", "\u3000", "\r\n"})
    void runOfBlanks_isRefusedBeforeRustSearchesIt(String blank) {
        try (Tokenizer tokenizer = Tokenizer.load(EmbeddedModel.folder())) {
            assertThatThrownBy(() -> tokenizer.encode("hi" + blank.repeat(1_000_001) + "x"))
                    .isInstanceOf(FormatException.class)
                    .hasMessageMatching(
                            "a text has \\d+ blanks or line feeds in a row, 1000000 at most are tokenized; shorten the run");
        }
    }

    @Test
    void longestRunOfBlanks_isTokenizedByLlama3sPattern() throws IOException {
        String byteLevel =
                "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": \""
                        + PatternGuard.LLAMA3.replace("\\", "\\\\")
                        + "\"}, \"behavior\": \"Isolated\", \"invert\": false}]}";
        try (Tokenizer tokenizer = tokenizer(BPE + ", \"pre_tokenizer\": " + byteLevel)) {
            assertThat(tokenizer.encode("a" + " ".repeat(1_000_000) + "b")).hasSize(1_000_002);
            assertThatThrownBy(() -> tokenizer.encode("a".repeat(5_000_000)))
                    .isInstanceOf(FormatException.class)
                    .hasMessageContaining("without a blank between two words");
        }
    }

    @Test
    void longText_inPieces_hasTheIdsOfTheWhole() {
        Random random = new Random(7);
        String[] parts = {
            " a",
            "b",
            " ",
            "  ",
            "\n",
            "'s",
            " don't",
            "1",
            "23",
            "é",
            "漢",
            "😀",
            " x y",
            "<|im_end|>",
            ".",
            "\t"
        };
        try (Tokenizer tokenizer = Tokenizer.load(EmbeddedModel.folder())) {
            for (int i = 0; i < 300; i++) {
                StringBuilder text = new StringBuilder();
                for (int j = random.nextInt(60); j >= 0; j--) {
                    text.append(parts[random.nextInt(parts.length)]);
                }
                String said = text.toString();
                assertThat(tokenizer.encodeInPieces(said, true, 3))
                        .as(said)
                        .isEqualTo(tokenizer.encode(said, true));
            }
            assertThat(tokenizer.cuts()).isTrue();
        }
    }

    /** Python's tokenizers refuse it; a half that stands alone must not garble what is beside. */
    @Test
    void loneSurrogate_isReplacedAlone() throws IOException {
        assertThat(NativeTokenizer.sound("a\ud800😀\udc00")).isEqualTo("a\ufffd😀\ufffd");
        try (Tokenizer tokenizer = Tokenizer.load(EmbeddedModel.folder())) {
            assertThat(tokenizer.decode(tokenizer.encode("😀\ud800b"), false))
                    .isEqualTo("😀\ufffdb");
        }
    }

    @Test
    void closedTokenizer_saysSo() throws IOException {
        Tokenizer tokenizer = tokenizer(BPE);
        tokenizer.close();
        tokenizer.close();
        assertThatThrownBy(() -> tokenizer.encode("a"))
                .isInstanceOf(IllegalStateException.class)
                .isNotInstanceOf(UserException.class);
    }
}
