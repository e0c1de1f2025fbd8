package org.qlora4j;

import static org.qlora4j.error.Require.given;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.grammar.JsonGrammar;

/**
 * A chat, with the tools that its answer may call.
 *
 * @param adapter name of the adapter that answers; null for the base model
 * @param messages as chat templates take them, with {@code role}, {@code content} and what else
 *     they have, such as {@code tool_calls}
 * @param tools in the form of {@link #tool}
 * @param mustCall whether the answer is a call of a tool
 * @param grammar the form of an answer without tools; null for any
 */
public record ChatQuestion(
        @Nullable String adapter,
        List<Map<String, Object>> messages,
        List<Map<String, Object>> tools,
        boolean mustCall,
        @Nullable JsonGrammar grammar,
        GenerationConfig config) {
    public ChatQuestion {
        messages = List.copyOf(given(messages, "messages"));
        tools = List.copyOf(given(tools, "tools"));
        given(config, "config");
    }

    /**
     * A message of a chat, to which further fields may be added.
     *
     * @param role such as system, user, assistant or tool
     */
    public static Map<String, Object> message(String role, String content) {
        Map<String, Object> out = new LinkedHashMap<>(); // templates may write fields in this order
        out.put("role", role);
        out.put("content", content);
        return out;
    }

    /**
     * A tool in OpenAI's form.
     *
     * @param parameters their JSON Schema
     */
    public static Map<String, Object> tool(
            String name, @Nullable String description, Map<String, ?> parameters) {
        Map<String, Object> function = new LinkedHashMap<>();
        function.put("name", name);
        if (description != null) {
            function.put("description", description);
        }
        function.put("parameters", parameters);
        return function(new LinkedHashMap<>(), function);
    }

    /**
     * A call of a tool in an answer, in OpenAI's form.
     *
     * @param id null for none
     * @param arguments as JSON
     */
    public static Map<String, Object> call(@Nullable String id, String name, String arguments) {
        Map<String, Object> function = new LinkedHashMap<>();
        function.put("name", name);
        function.put("arguments", arguments);
        Map<String, Object> out = new LinkedHashMap<>();
        if (id != null) {
            out.put("id", id);
        }
        return function(out, function);
    }

    private static Map<String, Object> function(
            Map<String, Object> out, Map<String, Object> function) {
        out.put("type", "function");
        out.put("function", function);
        return out;
    }

    /**
     * The message that a tool answered.
     *
     * @param callId of the call that it answers; null for none
     */
    public static Map<String, Object> toolResult(
            @Nullable String callId, @Nullable String name, String content) {
        Map<String, Object> out = message("tool", content);
        if (name != null) {
            out.put("name", name);
        }
        if (callId != null) {
            out.put("tool_call_id", callId);
        }
        return out;
    }

    /** The record that a template writes. */
    Map<String, Object> row() {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("messages", new ArrayList<>(messages));
        if (!tools.isEmpty()) {
            out.put("tools", tools);
        }
        return out;
    }
}
