package org.qlora4j.template;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.template.TemplateReferences.Rendering;
import org.qlora4j.template.TemplateReferences.Snippet;
import org.qlora4j.tokenize.Tokenizer;
import org.qlora4j.tokenize.TokenizerGoldenTest;

/** The shared references of Jinja2 and of transformers, where their folders exist. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ChatTemplateGoldenTest {
    private static final Path TEMPLATES =
            Path.of(System.getProperty("qlora.shared", "missing"), "data/templates");

    @BeforeAll
    void sharedFolder_exists() {
        assumeTrue(Files.isDirectory(TEMPLATES), "no folder " + TEMPLATES + " (-Dqlora.shared)");
    }

    private static Map<String, Object> reference() {
        String name = "ref.json";
        return Files.isDirectory(TEMPLATES)
                ? TemplateReferences.json(TemplateReferences.folder(TEMPLATES).read(name))
                : TemplateReferences.json(
                        TemplateReferences.resource(name)); // names the tests that are skipped
    }

    static List<Snippet> snippets() {
        return TemplateReferences.snippets(reference());
    }

    static List<Rendering> renderings() {
        return TemplateReferences.renderings(reference());
    }

    @Test
    void reference_isComplete() {
        assertThat(snippets()).hasSize(54);
        assertThat(renderings()).hasSize(9);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("snippets")
    void expression_rendersAsJinja2(Snippet snippet) {
        TemplateReferences.check(snippet, reference());
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("renderings")
    void template_rendersAsJinja2(Rendering rendering) {
        TemplateReferences.check(rendering, TemplateReferences.folder(TEMPLATES));
    }

    @Test
    @SuppressWarnings("unchecked")
    void smolLm2_promptsAsTransformers() {
        List<Map<String, Object>> chats =
                (List<Map<String, Object>>)
                        requireNonNull(TokenizerGoldenTest.expected().get("chats"));
        assertThat(chats).hasSizeGreaterThanOrEqualTo(2);
        try (Tokenizer tokenizer = Tokenizer.load(TokenizerGoldenTest.model())) {
            ChatTemplate template = tokenizer.chatTemplate().orElseThrow();
            for (Map<String, Object> chat : chats) {
                List<Map<String, Object>> messages =
                        (List<Map<String, Object>>) requireNonNull(chat.get("messages"));
                assertThat(template.render(messages, null, true, Map.of()))
                        .isEqualTo(chat.get("prompt"));
            }
        }
    }
}
