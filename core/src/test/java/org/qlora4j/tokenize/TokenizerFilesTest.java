package org.qlora4j.tokenize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.ChatTemplate;

/** Chat templates as the files beside {@code tokenizer.json} hold them. */
class TokenizerFilesTest {
    private static final List<Map<String, Object>> CHAT =
            List.of(Map.of("role", "user", "content", "hi"));

    private static Optional<ChatTemplate> chatTemplate(Path folder) {
        return TokenizerFiles.read(folder).chatTemplate();
    }

    @Test
    void folder_templateFileWinsOverConfig(@TempDir Path folder) throws IOException {
        assertThat(chatTemplate(folder)).isEmpty();
        Files.writeString(
                folder.resolve("tokenizer_config.json"),
                """
                {"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "add_bos_token": true,
                 "pad_token": null, "additional_special_tokens": ["<x>"],
                 "chat_template": "config {{ bos_token }}{{ eos_token }}{{ pad_token is defined }}"}
                """);
        assertThat(load(folder, null)).isEqualTo("config <s></s>False");
        Files.writeString(
                folder.resolve("chat_template.jinja"), "file {{ additional_special_tokens[0] }}\n");
        assertThat(load(folder, null)).isEqualTo("file <x>");
    }

    @Test
    void namedTemplates_toolUseIsTakenForTools(@TempDir Path folder) throws IOException {
        Files.writeString(
                folder.resolve("tokenizer_config.json"),
                """
                {"chat_template": [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]}
                """);
        assertThat(load(folder, null)).isEqualTo("plain");
        assertThat(load(folder, List.of())).isEqualTo("tools");
    }

    private static String load(Path folder, @Nullable List<?> tools) {
        return chatTemplate(folder).orElseThrow().render(CHAT, tools, false, Map.of());
    }

    @Test
    void damagedConfig_isOneLineWithPlace(@TempDir Path folder) throws IOException {
        Path config =
                Files.writeString(
                        folder.resolve("tokenizer_config.json"),
                        "{\n  \"bos_token\": \"<s>\",,\n}");
        assertThatThrownBy(() -> chatTemplate(folder))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith(config + ":2:")
                .hasMessageNotContaining("\n");
        Files.writeString(config, "{\"bos_token\": 5}");
        assertThatThrownBy(() -> chatTemplate(folder))
                .isInstanceOf(FormatException.class)
                .hasMessage(
                        config
                                + ": bos_token must be a text or an object with the text as \"content\", got 5");
        Files.writeString(config, "[]");
        assertThatThrownBy(() -> chatTemplate(folder))
                .hasMessage(config + " must hold a JSON object, but does not");
    }

    @Test
    void brokenTemplateOfAFolder_namesFileAndPlace(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("chat_template.jinja"), "a\n{% if x %}");
        assertThatThrownBy(() -> chatTemplate(folder))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith(
                        file + ":2:11: TemplateSyntaxError: Unexpected end of template.");
    }
}
