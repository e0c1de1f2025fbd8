package org.qlora4j.tokenize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.ConfigException;

/** The bound never exceeds the count, and refuses what nobody should wait for. */
class FewestTokensTest {
    private static final Path RESOURCES = Path.of("src/test/resources/org/qlora4j");
    private static final Path OLD = RESOURCES.resolve("tokenize/old");
    private static final String[] PARTS = {
        "the", "ing", "ation", " ", "\n", "7", "2024", "e\u0301", "漢字", "ﬁ", "<s>", "</s>", "Q",
        "K", "▁", "-", "\u212a"
    };

    @TempDir Path folder;

    private Tokenizer load(String name) throws IOException {
        switch (name) {
            case "llama", "gemma" -> {
                Files.copy(OLD.resolve(name + ".model"), folder.resolve("tokenizer.model"));
                type(name);
            }
            case "t5" -> {
                Files.copy(OLD.resolve("t5.model"), folder.resolve("spiece.model"));
                type(name);
            }
            case "gpt2" -> {
                Files.copy(OLD.resolve("vocab.json"), folder.resolve("vocab.json"));
                Files.copy(OLD.resolve("merges.txt"), folder.resolve("merges.txt"));
                type(name);
            }
            default -> {
                return Tokenizer.load(RESOURCES.resolve(name));
            }
        }
        return Tokenizer.load(folder);
    }

    private void type(String name) throws IOException {
        Files.writeString(folder.resolve("config.json"), "{\"model_type\": \"" + name + "\"}");
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "gemma", "t5", "gpt2", "data/chatml", "data/llama"})
    void anyText_hasAsManyTokens(String name) throws IOException {
        Random random = new Random(name.hashCode());
        try (Tokenizer tokenizer = load(name)) {
            for (int n = 0; n < 300; n++) {
                StringBuilder text = new StringBuilder();
                for (int i = random.nextInt(60); i >= 0; i--) {
                    text.append(
                            random.nextBoolean()
                                    ? PARTS[random.nextInt(PARTS.length)]
                                    : String.valueOf((char) ('0' + random.nextInt(75))));
                }
                int tokens = tokenizer.encode(text.toString()).length;
                tokenizer.checkPrompt("the prompt", text.toString(), tokens); // throws if beyond
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "gemma", "gpt2", "data/chatml", "data/llama"})
    void millionsOfLetters_areRefusedUncounted(String name) throws IOException {
        try (Tokenizer tokenizer = load(name)) {
            assertThatThrownBy(() ->
                            tokenizer.checkPrompt("the prompt", "ab".repeat(30_000_000), 8192))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageMatching(
                            "the prompt has at least \\d+ tokens, the model's context is 8192; shorten it");
        }
    }

    @Test
    void tokenizerThatMayLoseLetters_saysNothing() throws IOException {
        try (Tokenizer tokenizer = load("t5")) { // Unigram joins what it does not know
            tokenizer.checkPrompt("the prompt", "ab".repeat(1_000_000), 1);
        }
        assertThat(new FewestTokens(0).of("abc")).isZero();
        assertThat(new FewestTokens(2).of("abc-1 ")).isEqualTo(2);
    }
}
