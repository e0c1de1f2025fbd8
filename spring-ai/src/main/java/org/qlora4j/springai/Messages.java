package org.qlora4j.springai;

import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.ChatQuestion;
import org.qlora4j.error.ConfigException;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.MessageType;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.content.MediaContent;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.definition.ToolDefinition;
import tools.jackson.core.JacksonException;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Spring AI's messages and tools as chat templates take them. */
final class Messages {
    private static final TypeReference<Map<String, Object>> OBJECT = new TypeReference<>() {};

    private Messages() {}

    /**
     * Messages with {@code role}, {@code content} and what else they have; one for each result of a
     * tool.
     *
     * @throws ConfigException if one holds what is no text
     */
    static List<Map<String, Object>> of(List<Message> messages) {
        return messages.stream().flatMap(Messages::of).toList();
    }

    private static Stream<Map<String, Object>> of(Message message) {
        if (message instanceof MediaContent content && !content.getMedia().isEmpty()) {
            throw ConfigException.of(
                    "a message holds media (%s); models of this library read texts",
                    content.getMedia().getFirst().getMimeType());
        }
        if (message instanceof ToolResponseMessage results) {
            return results.getResponses().stream()
                    .map(result ->
                            ChatQuestion.toolResult(
                                    result.id(), result.name(), result.responseData()));
        }
        String role = message.getMessageType().getValue();
        String text = message.getText();
        Map<String, Object> out = ChatQuestion.message(role, text == null ? "" : text);
        if (message instanceof AssistantMessage assistant && assistant.hasToolCalls()) {
            out.put(
                    "tool_calls",
                    assistant.getToolCalls().stream()
                            .map(call ->
                                    ChatQuestion.call(call.id(), call.name(), call.arguments()))
                            .toList());
        }
        return Stream.of(out);
    }

    /** Whether a chat ends with what a tool answered. */
    static boolean endWithToolResult(List<Message> messages) {
        return !messages.isEmpty() && messages.getLast().getMessageType() == MessageType.TOOL;
    }

    /** Tools in OpenAI's form. */
    static List<Map<String, Object>> tools(@Nullable List<ToolCallback> callbacks) {
        return callbacks == null
                ? List.of()
                : callbacks.stream()
                        .map(ToolCallback::getToolDefinition)
                        .map(tool ->
                                ChatQuestion.tool(
                                        tool.name(), tool.description(), parameters(tool)))
                        .toList();
    }

    private static Map<String, Object> parameters(ToolDefinition tool) {
        return JsonMapper.shared()
                .convertValue(
                        json("the schema of tool " + tool.name(), tool.inputSchema()), OBJECT);
    }

    /**
     * A schema.
     *
     * @param what it is, for the message
     * @throws ConfigException if it is no JSON
     */
    static JsonNode json(String what, String schema) {
        try {
            return JsonMapper.shared().readTree(schema);
        } catch (JacksonException e) {
            throw new ConfigException(
                    "%s is no JSON: %s".formatted(what, e.getOriginalMessage()), e);
        }
    }
}
