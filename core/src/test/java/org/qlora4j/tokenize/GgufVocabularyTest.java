package org.qlora4j.tokenize;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Vocabularies of GGUF made of tokenizer.json and made one again. */
class GgufVocabularyTest {
    /** A SentencePiece tokenizer whose turns eat the blanks behind them, as Phi-3's do. */
    private static final String PHI3 =
            """
            {"version": "1.0",
             "added_tokens": [
              {"id": 0, "content": "<unk>", "special": true, "normalized": false, "single_word": false,
               "lstrip": false, "rstrip": false},
              {"id": 1, "content": "<s>", "special": true, "normalized": false, "single_word": false,
               "lstrip": false, "rstrip": false},
              {"id": 2, "content": "</s>", "special": false, "normalized": false, "single_word": false,
               "lstrip": false, "rstrip": true},
              {"id": 12, "content": "<|endoftext|>", "special": true, "normalized": false,
               "single_word": false, "lstrip": false, "rstrip": false},
              {"id": 13, "content": "<|user|>", "special": true, "normalized": false,
               "single_word": false, "lstrip": false, "rstrip": true},
              {"id": 14, "content": "<|end|>", "special": true, "normalized": false,
               "single_word": false, "lstrip": false, "rstrip": true}],
             "normalizer": {"type": "Sequence", "normalizers": [
              {"type": "Prepend", "prepend": "▁"},
              {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
             "pre_tokenizer": null,
             "decoder": {"type": "Fuse"},
             "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
              "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "<0x0A>": 3, "▁": 4, "a": 5, "b": 6,
               "▁a": 7, "ab": 8, "▁ab": 9, "bb": 10, "▁▁": 11},
              "merges": ["▁ ▁", "▁ a", "a b", "▁a b", "b b"]}}
            """;

    @TempDir Path folder;

    @Test
    void tokensThatEatBlanks_areKnownByTheModelsName() throws IOException {
        Path own = Files.createDirectory(folder.resolve("own"));
        Files.writeString(own.resolve("tokenizer.json"), PHI3);
        GgufVocabulary vocabulary = GgufVocabulary.of(own, 16);
        assertThat(vocabulary.eatsBlanks()).isTrue();
        assertThat(vocabulary.modelName("mine")).isEqualTo("Phi-3 mine");
        assertThat(vocabulary.modelName("my-phi3")).isEqualTo("my-phi3");
        Path made = Files.createDirectory(folder.resolve("made"));
        Files.writeString(
                made.resolve("tokenizer.json"),
                vocabulary.tokenizerJson(List.of(), List.of(), made));
        try (Tokenizer expected = Tokenizer.load(own);
                Tokenizer read = Tokenizer.load(made)) {
            for (String text :
                    List.of("<|user|>\n ab<|end|>\n<|user|> b", "<|endoftext|>\na", "a  abb\n")) {
                assertThat(read.encode(text)).as(text).isEqualTo(expected.encode(text));
            }
        }
    }

    /** llama.cpp does not open a file named after Phi-3 whose tokenizer lacks that one's tokens. */
    @Test
    void nameOfPhi3_isNotGivenToAnotherTokenizer() throws IOException {
        Files.writeString(
                folder.resolve("tokenizer.json"), PHI3.replace("<|endoftext|>", "<|other|>"));
        GgufVocabulary vocabulary = GgufVocabulary.of(folder, 16);
        assertThat(vocabulary.eatsBlanks()).isFalse();
        assertThat(vocabulary.modelName("my-Phi-3-mini")).isEqualTo("my-Phi 3-mini");
    }
}
