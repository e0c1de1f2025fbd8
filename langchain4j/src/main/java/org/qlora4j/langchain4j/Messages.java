package org.qlora4j.langchain4j;

import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.Content;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.internal.JsonSchemaElementUtils;
import dev.langchain4j.model.chat.request.json.JsonSchemaElement;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.qlora4j.ChatQuestion;

/** LangChain4j's messages and tools as chat templates take them. */
final class Messages {
    private Messages() {}

    /**
     * A message with {@code role}, {@code content} and what else it has.
     *
     * @throws UnsupportedFeatureException if it holds what is no text
     */
    static Map<String, Object> of(ChatMessage message) {
        return switch (message) {
            case SystemMessage system -> ChatQuestion.message("system", system.text());
            case UserMessage user -> {
                Map<String, Object> out = ChatQuestion.message("user", text(user.contents()));
                if (user.name() != null) {
                    out.put("name", user.name());
                }
                yield out;
            }
            case AiMessage ai -> {
                Map<String, Object> out =
                        ChatQuestion.message("assistant", ai.text() == null ? "" : ai.text());
                if (ai.hasToolExecutionRequests()) {
                    out.put(
                            "tool_calls",
                            ai.toolExecutionRequests().stream()
                                    .map(call ->
                                            ChatQuestion.call(
                                                    call.id(), call.name(), call.arguments()))
                                    .toList());
                }
                yield out;
            }
            case ToolExecutionResultMessage result ->
                    ChatQuestion.toolResult(
                            result.id(), result.toolName(), text(result.contents()));
            default ->
                    throw new UnsupportedFeatureException(
                            "messages of type %s are not supported".formatted(message.type()));
        };
    }

    private static String text(List<Content> contents) {
        return contents.stream()
                .map(content -> {
                    if (content instanceof TextContent text) {
                        return text.text();
                    }
                    throw new UnsupportedFeatureException(
                            "contents of type %s are not supported, only texts"
                                    .formatted(content.type()));
                })
                .collect(Collectors.joining("\n"));
    }

    /** Tools in OpenAI's form. */
    static List<Map<String, Object>> tools(List<ToolSpecification> tools) {
        return tools.stream()
                .map(tool ->
                        ChatQuestion.tool(
                                tool.name(), tool.description(), schema(tool.parameters())))
                .toList();
    }

    /** JSON Schema of an element; for null that of an object without properties. */
    static Map<String, Object> schema(@Nullable JsonSchemaElement element) {
        if (element != null) {
            return JsonSchemaElementUtils.toMap(element);
        }
        Map<String, Object> none = new LinkedHashMap<>();
        none.put("type", "object");
        none.put("properties", Map.of());
        none.put("additionalProperties", false);
        return none;
    }
}
