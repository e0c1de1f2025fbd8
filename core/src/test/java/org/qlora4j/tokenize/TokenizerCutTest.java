package org.qlora4j.tokenize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.TinyLlama;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A cut tokenizer against the whole one, both run by Hugging Face's tokenizers: what the whole
 * writes, written finer, must be what the cut writes.
 */
class TokenizerCutTest {
    private static final List<String> TEXTS =
            List.of(
                    "",
                    " ",
                    "Hello, how are you today?",
                    "the inner reason on an iron nation",
                    "  two  blanks\n\n\tand a tab",
                    "Österreich für 5 €, naïve café 🙂🙂",
                    "<|im_start|>user\nWhat is 12345 + 678?<|im_end|>\n",
                    "public static void main(String[] args) { System.out.println(\"x\"); }",
                    "Pneumonoultramicroscopicsilicovolcanoconiosis isn't antidisestablishmentarianism.");

    @TempDir Path folder;

    @ParameterizedTest
    @ValueSource(ints = {260, 512, 3072, 4096, 20_000, 49_152})
    void smollm2Cut_refinesTheWholeAndLosesNothing(int size) {
        Path source = folderOf(Golden.smollm2());
        write(source, size);
        TokenRefinement refinement = TokenRefinement.of(source, folder);
        try (Tokenizer whole = Tokenizer.load(source);
                Tokenizer cut = Tokenizer.load(folder)) {
            assertThat(cut.vocabSize()).isEqualTo(size);
            assertThat(cut.eosId()).isEqualTo(cut.tokenId("<|im_end|>"));
            for (String text : TEXTS) {
                int[] ids = cut.encode(text);
                assertThat(refinement.refine(whole.encode(text))).as(text).isEqualTo(ids);
                assertThat(cut.decode(ids, false)).isEqualTo(text);
            }
        }
    }

    @ParameterizedTest(name = "{0} tokens, seed 11")
    @ValueSource(ints = {126, 130, 140, 153, 160})
    void randomTexts_areRefined(int size) {
        int smallest = smallest();
        int kept = Math.max(smallest, size);
        write(TinyLlama.folder(), kept);
        TokenRefinement refinement = TokenRefinement.of(TinyLlama.folder(), folder);
        Random random = new Random(11);
        try (Tokenizer whole = Tokenizer.load(TinyLlama.folder());
                Tokenizer cut = Tokenizer.load(folder)) {
            assertThat(cut.vocabSize()).isEqualTo(kept);
            for (int i = 0; i < 300; i++) {
                StringBuilder text = new StringBuilder();
                for (int n = random.nextInt(30); n > 0; n--) {
                    text.append("theaioinronre  </s>".charAt(random.nextInt(15)));
                }
                int[] ids = cut.encode(text.toString());
                assertThat(refinement.refine(whole.encode(text.toString()))).isEqualTo(ids);
                assertThat(cut.decode(ids, false)).isEqualTo(text.toString());
            }
        }
    }

    @Test
    void specialTokens_areRenumberedInAllFiles() throws Exception {
        // specials behind the vocabulary, as in many models, so that their ids change
        Path source = Files.createDirectory(folder.resolve("source"));
        Files.writeString(
                source.resolve("tokenizer.json"),
                """
                {"added_tokens": [{"id": 5, "content": "<s>", "special": true}],
                 "post_processor": {"type": "TemplateProcessing", "special_tokens": {"<s>": {"id": "<s>", "ids": [5], "tokens": ["<s>"]}}},
                 "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "aba": 3, "abab": 4},
                           "merges": ["a b", "ab a", "ab ab"]}}
                """);
        Files.writeString(
                source.resolve("generation_config.json"), "{\"eos_token_id\": [5, 0], \"x\": 5}");
        Files.writeString(
                source.resolve("tokenizer_config.json"),
                "{\"added_tokens_decoder\": {\"5\": {\"content\": \"<s>\"}}}");
        TokenizerCut cut = TokenizerCut.plan(source, 4);
        assertThat(cut.keptIds()).containsExactly(0, 1, 2, 5);
        Map<String, String> files = cut.files(source);
        JsonNode tokenizer = json(files.get("tokenizer.json"));
        assertThat(tokenizer.at("/added_tokens/0/id").asInt()).isEqualTo(3);
        assertThat(tokenizer.at("/post_processor/special_tokens/<s>/ids/0").asInt()).isEqualTo(3);
        assertThat(tokenizer.at("/model/merges")).hasSize(1);
        assertThat(tokenizer.at("/model/vocab")).hasSize(3);
        assertThat(json(files.get("generation_config.json")))
                .isEqualTo(json("{\"eos_token_id\": [3, 0], \"x\": 5}"));
        assertThat(
                        json(files.get("tokenizer_config.json"))
                                .at("/added_tokens_decoder/3/content")
                                .asString())
                .isEqualTo("<s>");
    }

    @Test
    void sizesThatCannotBe_areRefused() {
        assertThatThrownBy(() -> TokenizerCut.plan(TinyLlama.folder(), 20))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("tokens must stay")
                .hasMessageNotContaining("\n");
        assertThatThrownBy(() -> TokenizerCut.plan(TinyLlama.folder(), 161))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("it has 160");
    }

    private static int smallest() {
        try {
            TokenizerCut.plan(TinyLlama.folder(), 1);
            return 1;
        } catch (ConfigException e) {
            String text = String.valueOf(e.getMessage());
            return Integer.parseInt(text.replaceFirst(".*: (\\d+) tokens must.*", "$1"));
        }
    }

    private void write(Path source, int size) {
        TokenizerCut.plan(source, size)
                .files(source)
                .forEach((name, text) -> {
                    try {
                        Files.writeString(folder.resolve(name), text);
                    } catch (java.io.IOException e) {
                        throw new java.io.UncheckedIOException(e);
                    }
                });
    }

    /** The folder around a file; package model, which knows it, lies above this one. */
    private static Path folderOf(Path model) {
        Path around = model.toAbsolutePath().getParent();
        return Files.isDirectory(model) || around == null ? model : around;
    }

    private static JsonNode json(@org.jspecify.annotations.Nullable String text) {
        return new JsonMapper().readTree(java.util.Objects.requireNonNull(text));
    }
}
