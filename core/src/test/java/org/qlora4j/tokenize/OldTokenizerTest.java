package org.qlora4j.tokenize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.error.FormatException;
import org.qlora4j.testing.PackedJson;
import tools.jackson.databind.JsonNode;

/** Tokenizers without {@code tokenizer.json}, against transformers (make_old_tokenizers.py). */
class OldTokenizerTest {
    private static final Path FILES = Path.of("src/test/resources/org/qlora4j/tokenize/old");

    @TempDir Path folder;

    private static JsonNode expected() {
        return PackedJson.read(FILES.resolve("expected.json.gz"));
    }

    static Stream<Arguments> kinds() {
        return expected()
                .get("kinds")
                .valueStream()
                .map(kind -> Arguments.of(kind.get("name").asString(), kind));
    }

    private void write(JsonNode kind) throws IOException {
        String family = kind.get("model_type").asString();
        Path pieces = FILES.resolve(family + ".model");
        if (Files.exists(pieces)) {
            String name = family.equals("t5") ? "spiece.model" : "tokenizer.model";
            Files.copy(pieces, folder.resolve(name));
        } else {
            Files.copy(FILES.resolve("vocab.json"), folder.resolve("vocab.json"));
            Files.copy(FILES.resolve("merges.txt"), folder.resolve("merges.txt"));
        }
        Files.writeString(
                folder.resolve("config.json"), "{\"model_type\": \"%s\"}".formatted(family));
        if (!kind.get("tokenizer_config").isEmpty()) {
            Files.writeString(
                    folder.resolve("tokenizer_config.json"),
                    kind.get("tokenizer_config").toString());
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("kinds")
    void converted_hasTheIdsOfTransformers(String name, JsonNode kind) throws IOException {
        write(kind);
        List<String> texts = expected().get("texts").valueStream().map(JsonNode::asString).toList();
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            assertThat(tokenizer.vocabSize()).isEqualTo(kind.get("size").intValue());
            for (int i = 0; i < texts.size(); i++) {
                int[] ids =
                        kind.get("ids").get(i).valueStream().mapToInt(JsonNode::intValue).toArray();
                assertThat(tokenizer.encode(texts.get(i), true)).as(texts.get(i)).isEqualTo(ids);
                assertThat(tokenizer.decode(ids, false))
                        .as(texts.get(i))
                        .isEqualTo(kind.get("decoded").get(i).asString());
            }
        }
    }

    /** New tokens are written with a {@code tokenizer.json} of all. */
    @Test
    void newTokens_comeBehindTheConvertedOnes() throws IOException {
        JsonNode llama = expected().get("kinds").get(5);
        write(llama);
        Path target = Files.createDirectory(folder.resolve("with"));
        NewTokens.write(folder, List.of("<tool>"), target, false);
        try (Tokenizer tokenizer = Tokenizer.load(target)) {
            assertThat(tokenizer.encode("a<tool>")).endsWith(llama.get("size").intValue());
        }
    }

    @ParameterizedTest
    @CsvSource({
        "llama.model, tokenizer.model, T5Tokenizer",
        "t5.model, tokenizer.model, LlamaTokenizer",
        "t5.model, spiece.model, XLNetTokenizer",
        "llama.model, tokenizer.model, GPT2Tokenizer"
    })
    void others_areRefusedWithTheCommandThatConvertsThem(String from, String to, String name)
            throws IOException {
        Files.copy(FILES.resolve(from), folder.resolve(to));
        Files.writeString(
                folder.resolve("tokenizer_config.json"),
                "{\"tokenizer_class\": \"%s\"}".formatted(name));
        assertThatThrownBy(() -> Tokenizer.load(folder))
                .isInstanceOf(FormatException.class)
                .hasMessage(
                        "%s: a %s in this form is not read; with transformers and sentencepiece installed, make tokenizer.json of it: python3 -c \"from transformers import AutoTokenizer as T; T.from_pretrained('%s').save_pretrained('%s')\"",
                        folder.resolve(to), name, folder, folder);
    }

    @Test
    void damagedFiles_areNamed() throws IOException {
        byte[] whole = Files.readAllBytes(FILES.resolve("llama.model"));
        Path file = folder.resolve("tokenizer.model");
        Files.write(file, Arrays.copyOf(whole, whole.length / 2));
        Files.writeString(folder.resolve("config.json"), "{\"model_type\": \"llama\"}");
        assertThatThrownBy(() -> Tokenizer.load(folder))
                .isInstanceOf(FormatException.class)
                .hasMessage(
                        file + " is no SentencePiece model, or only a part of one; fetch it again");
        Files.delete(file);
        Files.copy(FILES.resolve("vocab.json"), folder.resolve("vocab.json"));
        Files.writeString(folder.resolve("merges.txt"), "#version: 0.2\na b\nthree of them\n");
        Files.writeString(folder.resolve("config.json"), "{\"model_type\": \"gpt2\"}");
        assertThatThrownBy(() -> Tokenizer.load(folder))
                .hasMessage(
                        folder.resolve("merges.txt")
                                + ":3: a merge is two tokens with a blank between, got three of them");
    }
}
