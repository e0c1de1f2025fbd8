package org.qlora4j.template;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.ChatTemplate.Rendered;

class ChatTemplateTest {
    private static final List<Map<String, Object>> CHAT =
            List.of(
                    Map.of("role", "user", "content", "hi"),
                    Map.of("role", "assistant", "content", "yes 🙂"));

    private static String render(String source) {
        return ChatTemplate.of(source, "t").render(CHAT, null, false, Map.of());
    }

    private static FormatException failure(String source) {
        return catchThrowableOfType(FormatException.class, () -> render(source));
    }

    @Test
    void error_namesOriginLineAndColumn() {
        assertThat(failure("a\n  {{ messages[0].role.x.y }}"))
                .hasMessage("t:2:24: UndefinedError: 'str object' has no attribute 'x'");
        assertThat(failure("🙂{% if %}")).hasMessageStartingWith("t:1:8: TemplateSyntaxError: ");
        assertThat(failure("{% set x = 1 %}\r\n\r\n{{ x|length }}"))
                .hasMessageStartingWith("t:3:6: TypeError: ");
    }

    @Test
    void refusal_carriesTheTemplatesWordsInOneLine() {
        FormatException refused = failure("\n{{ raise_exception('no\nway') }}");
        assertThat(refused).hasMessage("t:2:19: the template refuses this chat: no way");
        TemplateError cause = (TemplateError) requireNonNull(refused.getCause());
        assertThat(cause.kind()).isEqualTo(TemplateError.Kind.RAISED);
        assertThat(cause.detail()).isEqualTo("no\nway");
    }

    @Test
    void tags_thatNeedOtherFiles_areRefusedByName() {
        for (String tag : List.of("include", "extends", "import", "from", "block", "autoescape")) {
            assertThatThrownBy(() -> render("{% " + tag + " 'x' %}"))
                    .isInstanceOf(FormatException.class)
                    .hasMessageContaining("'" + tag + "' is not supported");
        }
    }

    /** Spans as transformers' return_assistant_tokens_mask counts them, but in chars of Java. */
    @Test
    void generationTags_markTheAssistantsWords() {
        String source =
                "{% for m in messages %}<{{ m.role }}>"
                        + "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}!{% endgeneration %}"
                        + "{% else %}{{ m.content }}{% endif %}{% endfor %}.";
        ChatTemplate template = ChatTemplate.of(source, "t", true);
        Rendered rendered = template.renderMarked(CHAT, null, false, Map.of());
        assertThat(rendered.text()).isEqualTo("<user>hi<assistant>yes 🙂!.");
        assertThat(rendered.assistant()).hasSize(1);
        ChatTemplate.Span span = rendered.assistant().getFirst();
        assertThat(rendered.text().substring(span.start(), span.end())).isEqualTo("yes 🙂!");
        assertThatThrownBy(() -> ChatTemplate.of(source, "t"))
                .hasMessageContaining("Encountered unknown tag 'generation'.");
    }

    @Test
    void extraVariables_reachTheTemplateAndWinOverTokens() {
        ChatTemplate template =
                ChatTemplate.of(
                                "{{ bos_token }}{{ thinking }}{{ tools is none }}{{ documents is none }}",
                                "t")
                        .withTokens(Map.of("bos_token", "<s>"));
        assertThat(template.render(CHAT, null, false, Map.of("thinking", true)))
                .isEqualTo("<s>TrueTrueTrue");
        assertThat(template.render(CHAT, List.of(), false, Map.of("bos_token", "")))
                .isEqualTo("FalseTrue");
    }

    /** transformers 5 gives every template both names of a message's reasoning. */
    @Test
    void reasoning_isFoundUnderEveryName() {
        ChatTemplate template =
                ChatTemplate.of(
                        "{{ messages[0].reasoning_content }}{{ messages[0].thinking }}", "t");
        for (String name : List.of("reasoning_content", "thinking", "reasoning")) {
            List<Map<String, String>> chat =
                    List.of(Map.of("role", "assistant", "content", "", name, "hm"));
            assertThat(template.render(chat, null, false, Map.of())).isEqualTo("hmhm");
        }
    }

    @Test
    void otherJavaObjects_areRefusedByPlace() {
        List<Map<String, Object>> chat =
                List.of(Map.of("role", "user", "content", List.of(new Object())));
        assertThatThrownBy(() -> ChatTemplate.of("", "t").render(chat, null, false, Map.of()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("messages[0].content[0] is a java.lang.Object");
    }
}
