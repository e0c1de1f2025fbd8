package org.qlora4j.data;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The checked parts of a record of format {@code messages} (OpenAI's chat finetuning format).
 *
 * @param messages at least one; each has a role, and a content or tool calls, and whatever else the
 *     record holds
 * @param tools function signatures, or null
 */
record Chat(List<Map<String, Object>> messages, @Nullable List<?> tools) {
    /**
     * Throws a {@code FormatException} naming file, line and message if a part is missing or of the
     * wrong type.
     */
    static Chat of(Row row) {
        Object value = row.fields().get("messages");
        if (!(value instanceof List<?> list)) {
            throw row.error(
                    "field messages must be a list of {role, content}, got %s",
                    missingOr(row.fields(), "messages"));
        }
        List<Map<String, Object>> messages = new ArrayList<>();
        for (Object message : list) {
            messages.add(message(row, messages.size(), message));
        }
        if (messages.isEmpty()) {
            throw row.error("field messages is an empty list");
        }
        if ("assistant".equals(messages.getFirst().get("role"))) {
            throw row.error(
                    "messages[0] is the assistant's; a chat begins with a system or user message");
        }
        Object tools = row.fields().get("tools");
        if (tools != null && !(tools instanceof List<?>)) {
            throw row.error("field tools must be a list, got %s", Row.kind(tools));
        }
        return new Chat(messages, (List<?>) tools);
    }

    private static Map<String, Object> message(Row row, int index, @Nullable Object value) {
        if (!(value instanceof Map<?, ?>)) {
            throw row.error(
                    "messages[%d] must be an object {role, content}, got %s",
                    index, Row.kind(value));
        }
        @SuppressWarnings("unchecked") // names of a JSON object are strings
        Map<String, Object> message = (Map<String, Object>) value;
        if (!(message.get("role") instanceof String)) {
            throw row.error(
                    "messages[%d].role must be text such as \"user\", got %s",
                    index, missingOr(message, "role"));
        }
        Object content = message.get("content");
        boolean calls = content == null && message.get("tool_calls") != null;
        if (!(content instanceof String || content instanceof List<?> || calls)) {
            throw row.error(
                    "messages[%d].content must be text, got %s",
                    index, missingOr(message, "content"));
        }
        return message;
    }

    private static String missingOr(Map<String, Object> fields, String name) {
        return fields.containsKey(name)
                ? Row.kind(fields.get(name))
                : "none; it has " + fields.keySet();
    }

    /**
     * The assistant's messages are trained, but for those with {@code "weight": 0}, OpenAI's way to
     * leave one out.
     */
    boolean isTrained(int index) {
        Map<String, Object> message = messages.get(index);
        boolean left = message.get("weight") instanceof Number weight && weight.doubleValue() == 0;
        return "assistant".equals(message.get("role")) && !left;
    }
}
