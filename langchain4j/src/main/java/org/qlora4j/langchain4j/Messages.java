package org.qlora4j.langchain4j;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
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
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** LangChain4j's messages and tools as chat templates take them. */
final class Messages {
    private Messages() {}

    /**
     * A message with {@code role}, {@code content} and what else it has.
     *
     * @throws UnsupportedFeatureException if it holds what is no text
     */
    static Map<String, Object> of(ChatMessage message) {
        Map<String, Object> out = new LinkedHashMap<>();
        switch (message) {
            case SystemMessage system -> put(out, "system", system.text());
            case UserMessage user -> {
                put(out, "user", text(user.contents()));
                if (user.name() != null) {
                    out.put("name", user.name());
                }
            }
            case AiMessage ai -> {
                put(out, "assistant", ai.text() == null ? "" : ai.text());
                if (ai.hasToolExecutionRequests()) {
                    out.put(
                            "tool_calls",
                            ai.toolExecutionRequests().stream().map(Messages::call).toList());
                }
            }
            case ToolExecutionResultMessage result -> {
                put(out, "tool", text(result.contents()));
                out.put("name", result.toolName());
                if (result.id() != null) {
                    out.put("tool_call_id", result.id());
                }
            }
            default ->
                    throw new UnsupportedFeatureException(
                            "messages of type %s are not supported".formatted(message.type()));
        }
        return out;
    }

    private static void put(Map<String, Object> out, String role, String content) {
        out.put("role", role);
        out.put("content", content);
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

    private static Map<String, Object> call(ToolExecutionRequest request) {
        Map<String, Object> out = new LinkedHashMap<>();
        if (request.id() != null) {
            out.put("id", request.id());
        }
        Map<String, Object> function = new LinkedHashMap<>();
        function.put("name", request.name());
        function.put("arguments", request.arguments());
        out.put("type", "function");
        out.put("function", function);
        return out;
    }

    /** Tools in OpenAI's form. */
    static List<Map<String, Object>> tools(List<ToolSpecification> tools) {
        List<Map<String, Object>> out = new ArrayList<>();
        for (ToolSpecification tool : tools) {
            Map<String, Object> function = new LinkedHashMap<>();
            function.put("name", tool.name());
            if (tool.description() != null) {
                function.put("description", tool.description());
            }
            function.put("parameters", schema(tool.parameters()));
            Map<String, Object> whole = new LinkedHashMap<>(); // templates write it in this order
            whole.put("type", "function");
            whole.put("function", function);
            out.add(whole);
        }
        return out;
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
