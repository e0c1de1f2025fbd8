package org.qlora4j.template;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.TemplateReferences.Rendering;
import org.qlora4j.testing.TinyLlama;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** {@code core/src/test/python/make_named_templates.py} rendered the same files with Jinja2. */
class NamedTemplatesTest {
    private static final Map<String, Object> REFERENCE =
            TemplateReferences.json(TemplateReferences.resource("named-templates.json"));

    static List<Rendering> renderings() {
        return TemplateReferences.renderings(REFERENCE);
    }

    @Test
    void everyName_isInTheReference() {
        assertThat(renderings().stream().map(Rendering::template).distinct())
                .containsExactlyInAnyOrderElementsOf(NamedTemplates.NAMES);
        assertThat(renderings()).hasSize(7 * NamedTemplates.NAMES.size());
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("renderings")
    @SuppressWarnings("unchecked")
    void template_rendersAsJinja2(Rendering rendering) {
        Map<String, Object> cases = (Map<String, Object>) requireNonNull(REFERENCE.get("cases"));
        Map<String, Object> chat =
                (Map<String, Object>) requireNonNull(cases.get(rendering.chat()));
        TemplateText text = NamedTemplates.read(rendering.template());
        ChatTemplate template =
                ChatTemplate.of(text.text(), text.origin())
                        .withTokens(Map.of("bos_token", "<s>", "eos_token", "</s>"));
        String actual;
        try {
            actual =
                    template.render(
                            (List<Map<String, Object>>) requireNonNull(chat.get("messages")),
                            null,
                            Boolean.TRUE.equals(chat.get("add_generation_prompt")),
                            Map.of());
        } catch (FormatException e) {
            actual = "EXC " + ((TemplateError) requireNonNull(e.getCause())).detail();
        }
        assertThat(actual).isEqualTo(rendering.expected());
    }

    @Test
    void tokenizer_takesNamesFilesAndItsOwn(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("mine.jinja");
        Files.writeString(file, "{{ eos_token }}{{ messages[0].content }}");
        List<Map<String, Object>> chat = List.of(Map.of("role", "user", "content", "a"));
        try (Tokenizer tokenizer = Tokenizer.load(TinyLlama.folder())) {
            String own = render(tokenizer, chat);
            tokenizer.useChatTemplate("zephyr");
            assertThat(render(tokenizer, chat)).isEqualTo("<|user|>\na</s>\n<|assistant|>\n");
            tokenizer.useChatTemplate(file.toString());
            assertThat(render(tokenizer, chat)).isEqualTo("</s>a");
            tokenizer.useChatTemplate(NamedTemplates.OF_TOKENIZER);
            assertThat(render(tokenizer, chat)).isEqualTo(own);
            assertThatThrownBy(() -> tokenizer.useChatTemplate("chatlm"))
                    .isInstanceOf(FormatException.class)
                    .hasMessageStartingWith(
                            "data.chat_template chatlm is neither a file nor a known name; there are chatml,");
        }
    }

    private static String render(Tokenizer tokenizer, List<Map<String, Object>> chat) {
        return tokenizer.chatTemplate().orElseThrow().render(chat, null, true, Map.of());
    }

    @Test
    void bos_isPrintedOnlyWhereTheTokenizerAddsIt(@TempDir Path folder) throws IOException {
        TinyLlama.copyTo(folder);
        Path file = folder.resolve("tokenizer.json");
        List<Map<String, Object>> chat = List.of(Map.of("role", "user", "content", "a"));
        try (Tokenizer adds = Tokenizer.load(folder)) {
            adds.useChatTemplate("llama3");
            assertThat(adds.addsBos()).isTrue();
            assertThat(render(adds, chat)).startsWith("<s><|start_header_id|>");
        }
        ObjectNode json = (ObjectNode) JsonMapper.shared().readTree(file.toFile());
        Files.writeString(file, json.putNull("post_processor").toString());
        try (Tokenizer adds = Tokenizer.load(folder)) {
            adds.useChatTemplate("llama3");
            assertThat(adds.addsBos()).isFalse();
            assertThat(render(adds, chat)).startsWith("<|start_header_id|>");
        }
    }
}
