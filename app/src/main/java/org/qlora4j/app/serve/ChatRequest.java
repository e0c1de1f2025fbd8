package org.qlora4j.app.serve;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Prompt;
import org.qlora4j.TextService;
import org.qlora4j.data.Row;
import org.qlora4j.grammar.JsonGrammar;
import org.qlora4j.grammar.ToolForm;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What a request of {@code /v1/chat/completions} asks.
 *
 * @param toolForm how answers call tools; null if none may be called
 * @param tools names of those that may be called
 * @param grammar the form of the answer; null for any
 */
record ChatRequest(
        Prompt prompt,
        @Nullable ToolForm toolForm,
        Set<String> tools,
        @Nullable JsonGrammar grammar) {
    /**
     * Reads a request.
     *
     * @throws ApiError if a field has a fault
     */
    static ChatRequest of(Fields fields, TextService service, @Nullable String adapter) {
        Map<String, Object> record = new LinkedHashMap<>();
        record.put("messages", messages(fields));
        JsonGrammar form = responseFormat(fields);
        JsonNode tools = fields.get("tools");
        if (tools != null && !tools.isArray()) {
            throw ApiError.field("tools", "tools must be a list");
        }
        JsonNode choice = fields.get("tool_choice");
        boolean none = choice != null && "none".equals(choice.asString(""));
        Map<String, JsonNode> parameters = new LinkedHashMap<>();
        ToolForm toolForm = null;
        if (tools != null && !tools.isEmpty() && !none) {
            parameters = parameters(tools);
            toolForm = ToolForm.of(service.chatTemplate(adapter));
            if (toolForm == null) {
                throw ApiError.field(
                        "tools", "the chat template of this model writes no tools that are known");
            }
            if (form != null) {
                throw ApiError.field(
                        "response_format", "response_format and tools exclude each other here");
            }
            record.put("tools", plain(tools));
            form = forced(choice, parameters, toolForm);
        } else if (choice != null && !none && !"auto".equals(choice.asString(""))) {
            throw ApiError.field("tool_choice", "tool_choice needs tools");
        }
        JsonNode variables = fields.get("chat_template_kwargs");
        if (variables != null) {
            record.put("chat_template_kwargs", plain(variables));
        }
        Prompt prompt = new Prompt.OfRecord(new Row("the request", 1, record), null);
        return new ChatRequest(prompt, toolForm, Set.copyOf(parameters.keySet()), form);
    }

    private static @Nullable JsonGrammar responseFormat(Fields fields) {
        JsonNode format = fields.get("response_format");
        if (format == null) {
            return null;
        }
        return switch (format.path("type").asString("")) {
            case "text" -> null;
            case "json_object" -> JsonGrammar.anyObject();
            case "json_schema" -> {
                JsonNode schema = format.path("json_schema").path("schema");
                if (!schema.isObject()) {
                    throw ApiError.field(
                            "response_format", "response_format.json_schema.schema is missing");
                }
                yield JsonGrammar.of(schema);
            }
            default ->
                    throw ApiError.field(
                            "response_format",
                            "response_format.type must be text, json_object or json_schema");
        };
    }

    private static @Nullable JsonGrammar forced(
            @Nullable JsonNode choice, Map<String, JsonNode> parameters, ToolForm form) {
        if (choice == null || "auto".equals(choice.asString(""))) {
            return null;
        }
        if ("required".equals(choice.asString(""))) {
            return form.grammar(parameters);
        }
        String name = choice.path("function").path("name").asString("");
        JsonNode own = parameters.get(name);
        if (own == null) {
            throw ApiError.field(
                    "tool_choice",
                    "tool_choice must be none, auto, required, or an object with the name of a tool");
        }
        return form.grammar(Map.of(name, own));
    }

    private static Map<String, JsonNode> parameters(JsonNode tools) {
        Map<String, JsonNode> out = new LinkedHashMap<>();
        for (JsonNode tool : tools) {
            JsonNode function = tool.path("function");
            String name = function.path("name").asString("");
            if (!"function".equals(tool.path("type").asString("")) || name.isEmpty()) {
                throw ApiError.field(
                        "tools",
                        "each of tools must be {\"type\": \"function\", \"function\": {\"name\": ...}}");
            }
            JsonNode own = function.get("parameters");
            out.put(
                    name,
                    own == null
                            ? JsonMapper.shared().createObjectNode().put("type", "object")
                            : own);
        }
        return out;
    }

    /** Messages as templates take them: contents are texts. */
    private static List<Map<String, Object>> messages(Fields fields) {
        JsonNode all = fields.get("messages");
        if (all == null || !all.isArray() || all.isEmpty()) {
            throw ApiError.field("messages", "messages must be a list of at least one message");
        }
        List<Map<String, Object>> out = new ArrayList<>();
        for (JsonNode each : all) {
            JsonNode role = each.path("role");
            if (!role.isString()) {
                throw ApiError.field("messages", "each of messages must have a role");
            }
            Map<String, Object> message = new LinkedHashMap<>();
            message.put("role", role.asString().equals("developer") ? "system" : role.asString());
            message.put("content", content(each.get("content")));
            for (String name : List.of("name", "tool_call_id", "tool_calls", "reasoning_content")) {
                JsonNode value = each.get(name);
                if (value != null && !value.isNull()) {
                    message.put(name, plain(value));
                }
            }
            out.add(message);
        }
        return out;
    }

    private static Object plain(JsonNode json) {
        return JsonMapper.shared().convertValue(json, Object.class);
    }

    private static String content(@Nullable JsonNode content) {
        if (content == null || content.isNull()) {
            return "";
        }
        if (content.isString()) {
            return content.asString();
        }
        if (!content.isArray()) {
            throw ApiError.field("messages", "content must be text, or parts that are text");
        }
        StringBuilder text = new StringBuilder();
        for (JsonNode part : content) {
            boolean isText = part.path("type").asString("text").endsWith("text");
            if (!isText || !part.path("text").isString()) {
                throw ApiError.field("messages", "content must be text, or parts that are text");
            }
            text.append(part.get("text").asString());
        }
        return text.toString();
    }
}
