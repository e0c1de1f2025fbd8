package org.qlora4j.data;

import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.template.ChatTemplate;

/** A model's chat template as this package uses it. */
@FunctionalInterface
public interface ChatRenderer {
    /**
     * The text of a chat, with every special token written out.
     *
     * @param messages maps with at least {@code role}
     * @param tools function signatures the record offers, or null
     * @param addGenerationPrompt whether the text ends where the assistant's next answer begins
     */
    String render(
            List<Map<String, Object>> messages,
            @Nullable List<?> tools,
            boolean addGenerationPrompt);

    /**
     * {@link #render} with more variables for the template, and with what its {@code generation}
     * tags mark.
     */
    default ChatTemplate.Rendered render(Chat chat, boolean addGenerationPrompt) {
        String text = render(chat.messages(), chat.tools(), addGenerationPrompt);
        return new ChatTemplate.Rendered(text, List.of());
    }

    /** Whether the template has {@code generation} tags, which say what of a chat is learnt. */
    default boolean marksAnswers() {
        return false;
    }

    /** Whether the template itself names a word, such as a role, in quotes. */
    default boolean names(String word) {
        return false;
    }

    /** Whether the template does anything with a variable. */
    default boolean uses(String variable) {
        return true;
    }

    /** A template of a checkpoint, or of a file. */
    static ChatRenderer of(ChatTemplate template) {
        return new OfTemplate(
                template,
                Pattern.compile("\\{%[-+]?\\s*generation\\b").matcher(template.text()).find());
    }

    /**
     * A {@link ChatTemplate}.
     *
     * @param marksAnswers whether it has {@code generation} tags
     */
    record OfTemplate(ChatTemplate template, boolean marksAnswers) implements ChatRenderer {
        @Override
        public String render(
                List<Map<String, Object>> messages,
                @Nullable List<?> tools,
                boolean addGenerationPrompt) {
            return template.render(messages, tools, addGenerationPrompt, Map.of());
        }

        @Override
        public ChatTemplate.Rendered render(Chat chat, boolean addGenerationPrompt) {
            return template.renderMarked(
                    chat.messages(), chat.tools(), addGenerationPrompt, chat.variables());
        }

        @Override
        public boolean uses(String variable) {
            return Pattern.compile("\\b" + Pattern.quote(variable) + "\\b")
                    .matcher(template.text())
                    .find();
        }

        @Override
        public boolean names(String word) {
            return template.text().contains("'" + word + "'")
                    || template.text().contains("\"" + word + "\"");
        }
    }
}
