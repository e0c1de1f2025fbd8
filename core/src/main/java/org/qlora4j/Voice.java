package org.qlora4j;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.data.ChatSettings;
import org.qlora4j.data.Row;
import org.qlora4j.error.ConfigException;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.tokenize.Tokenizer;

/**
 * How a model, or one of its adapters, is spoken to.
 *
 * @param name for messages
 * @param template null where chats cannot be written
 */
record Voice(
        String name, Tokenizer tokenizer, @Nullable ChatTemplate template, ChatSettings chats) {
    /**
     * Ids of a prompt.
     *
     * @param what the prompt is, for messages
     * @throws ConfigException if it is a chat, and there is no template for it
     */
    int[] ids(String what, Prompt prompt) {
        return switch (prompt) {
            case Prompt.Raw(String text) -> tokenizer.encodeToContinue(what, text);
            case Prompt.Ids(List<Integer> ids) ->
                    ids.stream().mapToInt(Integer::intValue).toArray();
            case Prompt.Chat(List<Map<String, Object>> messages) ->
                    chats.promptIds(what, messages, required(), tokenizer);
            case Prompt.OfRecord(Row row, String system) ->
                    chats.promptIds(what, row, system, required(), tokenizer);
        };
    }

    private ChatTemplate required() {
        if (template == null) {
            throw ConfigException.of(
                    "%s has no chat template; give a prompt that is continued as it stands (raw)",
                    name);
        }
        return template;
    }
}
