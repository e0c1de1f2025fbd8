package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.testing.Golden;
import org.qlora4j.tokenize.Tokenizer;

/** Stop tokens and chat templates of each kind of family, which its files say and no code. */
class FamilyFilesTest {
    private static final Path TOKENIZER = Path.of("src/test/resources/tiny-llama/tokenizer.json");

    @TempDir Path folder;

    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
    }

    /** Marks of turns as the models on the hub have them; ids where their own would stand. */
    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '|',
            value = {
                "llama; [2, 9]; {{ bos_token }}[INST] {{ messages[0].content }} [/INST]; <s>[INST] Hi [/INST]",
                "mistral-sliding; 2; {{ bos_token }}[INST]{{ messages[0].content }}[/INST]; <s>[INST]Hi[/INST]",
                "qwen2; [5, 3]; <|im_start|>user\\n{{ messages[0].content }}<|im_end|>; <|im_start|>user\\nHi<|im_end|>",
                "qwen3; [5, 3]; <|im_start|>user\\n{{ messages[0].content }}<|im_end|>; <|im_start|>user\\nHi<|im_end|>",
                "gemma; [1, 107]; {{ bos_token }}<start_of_turn>user\\n{{ messages[0].content | trim }}; <s><start_of_turn>user\\nHi",
                "gemma2; [1, 107]; {{ bos_token }}<start_of_turn>user\\n{{ messages[0].content | trim }}; <s><start_of_turn>user\\nHi",
                "gemma3; [1, 106]; {{ bos_token }}<start_of_turn>user\\n{{ messages[0].content | trim }}; <s><start_of_turn>user\\nHi",
                "phi3; [4, 7, 8]; <|user|>\\n{{ messages[0].content }}<|end|>; <|user|>\\nHi<|end|>",
                "gpt-neox; 0; {{ messages[0].content }}{{ eos_token }}; Hi</s>",
                "opt; 2; {{ bos_token }}{{ messages[0].content }}; <s>Hi",
                "gpt2; 50; {{ messages[0].content }}{{ eos_token }}; Hi</s>",
                "t5; 1; {{ messages[0].content }}; Hi"
            })
    void stopTokensAndTemplate_areThoseOfTheFiles(
            String family, String ends, String template, String expected) throws IOException {
        Path golden = Golden.folder().resolve("families").resolve(family);
        String config = Files.readString(golden.resolve("config.json"));
        Files.writeString(
                folder.resolve("config.json"),
                config.replaceAll("\"eos_token_id\": \\d+", "\"eos_token_id\": null"));
        Files.writeString(
                folder.resolve("generation_config.json"), "{\"eos_token_id\": %s}".formatted(ends));
        Files.copy(TOKENIZER, folder.resolve("tokenizer.json"));
        Files.writeString(
                folder.resolve("tokenizer_config.json"),
                "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"chat_template\": \"%s\"}"
                        .formatted(template));
        List<Integer> ids =
                List.of(ends.replaceAll("[\\[\\] ]", "").split(",", -1)).stream()
                        .map(Integer::valueOf)
                        .toList();
        assertThat(Families.shape(folder).eosIds()).containsExactlyInAnyOrderElementsOf(ids);
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            ChatTemplate read = tokenizer.chatTemplate().orElseThrow();
            List<Map<String, Object>> chat = List.of(Map.of("role", "user", "content", "Hi"));
            assertThat(read.render(chat, null, false, Map.of()))
                    .isEqualTo(expected.replace("\\n", "\n"));
        }
    }
}
