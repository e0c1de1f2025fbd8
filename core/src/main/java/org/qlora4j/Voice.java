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
 * @param context length of the model, which a prompt must not fill
 * @param template null where chats cannot be written
 */
record Voice(
        String name,
        Tokenizer tokenizer,
        int context,
        @Nullable ChatTemplate template,
        ChatSettings chats) {
    /**
     * Ids of a prompt.
     *
     * @param what the prompt is, for messages
     * @throws ConfigException if it is a chat and there is no template for it, or if it is surely
     *     longer than the context
     */
    int[] ids(String what, Prompt prompt) {
        return switch (prompt) {
            case Prompt.Raw(String text) -> {
                tokenizer.checkPrompt(what, text, context);
                yield tokenizer.encodeToContinue(what, text);
            }
            case Prompt.Ids(List<Integer> ids) ->
                    ids.stream().mapToInt(Integer::intValue).toArray();
            case Prompt.Chat(List<Map<String, Object>> messages) ->
                    chats.promptIds(what, messages, required(), tokenizer, context);
            case Prompt.OfRecord(Row row, String system) ->
                    chats.promptIds(what, row, system, required(), tokenizer, context);
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
