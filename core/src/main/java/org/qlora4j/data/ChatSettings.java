package org.qlora4j.data;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.tokenize.Tokenizer;

/**
 * How chats are read and written when a model is used: as they were in its training.
 *
 * @param roles as {@code data.roles}
 * @param variables as {@code data.chat_template_kwargs}
 * @param sanitizes as {@code data.sanitize_control_tokens}
 */
public record ChatSettings(
        Map<String, String> roles, Map<String, Object> variables, boolean sanitizes) {
    public static final ChatSettings DEFAULT = of(DataConfig.DEFAULT);

    public ChatSettings {
        roles = Map.copyOf(roles);
        variables = Map.copyOf(variables);
    }

    /** The settings of a run. */
    public static ChatSettings of(DataConfig data) {
        return new ChatSettings(
                data.roles(), data.chatTemplateKwargs(), data.sanitizeControlTokens());
    }

    /** These with more variables for the chat template, which win. */
    public ChatSettings with(Map<String, ?> more) {
        Map<String, Object> all = new LinkedHashMap<>(variables);
        more.forEach((name, value) -> {
            if (value != null) {
                all.put(name, value);
            }
        });
        return new ChatSettings(roles, all, sanitizes);
    }

    /** These with control tokens in messages kept letters, or not. */
    public ChatSettings sanitizing(boolean sanitize) {
        return new ChatSettings(roles, variables, sanitize);
    }

    /**
     * Ids of the prompt that the next answer of a chat follows.
     *
     * @param what the prompt is, for the error of one that is too long
     * @param record with {@code messages} or {@code conversations}, and what else training data may
     *     have beside them
     * @param system instructions for a chat that has none of its own; null for none
     * @param context length of the model
     * @throws org.qlora4j.error.ConfigException if the prompt is surely longer
     * @throws org.qlora4j.error.FormatException naming the record, if it has a fault or the
     *     template refuses it
     */
    public int[] promptIds(
            String what,
            Row record,
            @Nullable String system,
            ChatTemplate template,
            Tokenizer tokenizer,
            int context) {
        ChatRenderer renderer = ChatRenderer.of(template);
        ChatReader reader = new ChatReader(new Roles(roles, renderer::names));
        boolean shareGpt =
                !record.fields().containsKey("messages")
                        && record.fields().containsKey("conversations");
        Chat chat = reader.chat(record, shareGpt ? "conversations" : "messages");
        if (system != null && !chat.isSystem(0)) {
            List<Map<String, Object>> all = new ArrayList<>(chat.messages());
            all.addFirst(Map.of("role", "system", "content", system));
            chat = chat.with(all);
        }
        int eos = tokenizer.eosId().orElse(-1);
        return new ChatWriter(renderer, tokenizer, eos, variables, sanitizes)
                .promptIds(what, record, chat, context);
    }

    /** {@link #promptIds(String, Row, String, ChatTemplate, Tokenizer, int)} of messages alone. */
    public int[] promptIds(
            String what,
            List<? extends Map<String, ?>> messages,
            ChatTemplate template,
            Tokenizer tokenizer,
            int context) {
        Row record = new Row("the chat", 1, Map.of("messages", List.copyOf(messages)));
        return promptIds(what, record, null, template, tokenizer, context);
    }
}
