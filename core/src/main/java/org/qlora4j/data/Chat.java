package org.qlora4j.data;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.json.JsonMapper;

/**
 * A checked chat: of format {@code messages} (OpenAI's chat finetuning format) or {@code sharegpt},
 * or made of prompt and answer. What older layouts say otherwise has its newer form: {@code
 * function_call} is a tool call, {@code functions} are tools, and arguments that hold JSON as a
 * text are what the text says, for that is what most chat templates print ({@link ToolArguments}).
 *
 * @param messages at least one; each has a role, and a content or tool calls, and whatever else the
 *     record holds
 * @param tools function signatures, or null
 */
record Chat(List<Map<String, Object>> messages, @Nullable List<?> tools) {
    private static final JsonMapper JSON =
            JsonMapper.builder().enable(DeserializationFeature.USE_LONG_FOR_INTS).build();

    /** ShareGPT's names of roles, and those of its descendants. */
    private static final Map<String, String> ROLES =
            Map.ofEntries(
                    Map.entry("human", "user"),
                    Map.entry("user", "user"),
                    Map.entry("gpt", "assistant"),
                    Map.entry("chatgpt", "assistant"),
                    Map.entry("bing", "assistant"),
                    Map.entry("bard", "assistant"),
                    Map.entry("model", "assistant"),
                    Map.entry("assistant", "assistant"),
                    Map.entry("function_call", "assistant"),
                    Map.entry("system", "system"),
                    Map.entry("tool", "tool"),
                    Map.entry("function_response", "tool"),
                    Map.entry("observation", "tool"));

    /**
     * The chats of a record, nearly always one. Throws a {@code FormatException} naming file, line
     * and message if a part is missing or of the wrong type.
     */
    static List<Chat> allOf(Row row, DatasetFormat format) {
        return switch (format) {
            case MESSAGES -> List.of(ofMessages(row, "messages"));
            case SHAREGPT -> List.of(ofMessages(row, "conversations"));
            case OASST1 ->
                    List.of(checked(row, Dialogue.OASST1.messages(row, "text", row.text("text"))));
            case HH_RLHF -> List.of(checked(row, hhRlhf(row)));
            case TEXT ->
                    throw row.error(
                            "records are plain text, which has no turns for data.chat_template; leave that out");
            default ->
                    SourceTarget.plainOf(row, format).stream()
                            .map(pair ->
                                    new Chat(
                                            List.of(
                                                    Map.of(
                                                            "role",
                                                            "user",
                                                            "content",
                                                            pair.source()),
                                                    Map.of(
                                                            "role",
                                                            "assistant",
                                                            "content",
                                                            pair.target())),
                                            null))
                            .toList();
        };
    }

    private static List<Map<String, Object>> hhRlhf(Row row) {
        String text = row.text("chosen");
        return Dialogue.HH_RLHF.messages(
                row, "chosen", text.startsWith("\n\n") ? text : "\n\n" + text);
    }

    private static Chat ofMessages(Row row, String field) {
        boolean shareGpt = field.equals("conversations");
        Object value = fromText(row.fields().get(field));
        if (!(value instanceof List<?> list)) {
            throw row.error(
                    "field %s must be a list of %s, got %s",
                    field,
                    shareGpt ? "{from, value}" : "{role, content}",
                    missingOr(row.fields(), field));
        }
        List<Map<String, Object>> messages = new ArrayList<>();
        if (shareGpt && row.fields().get("system") instanceof String s && !s.isBlank()) {
            messages.add(Map.of("role", "system", "content", s));
        }
        for (int i = 0; i < list.size(); i++) {
            String place = field + "[" + i + "]";
            Map<String, Object> message = object(row, place, list.get(i), shareGpt);
            boolean isShareGpt = shareGpt && message.containsKey("from");
            messages.add(
                    isShareGpt ? ofShareGpt(row, place, message) : ofOpenAi(row, place, message));
        }
        if (messages.isEmpty()) {
            throw row.error("field %s is an empty list", field);
        }
        Object tools = fromText(row.fields().get("tools"));
        if (tools == null && row.fields().get("functions") instanceof List<?> functions) {
            tools = functions.stream().map(f -> Map.of("type", "function", "function", f)).toList();
        }
        if (tools != null && !(tools instanceof List<?>)) {
            throw row.error("field tools must be a list, got %s", Row.kind(tools));
        }
        List<?> given = (List<?>) tools;
        return new Chat(
                checked(row, messages).messages, given == null || given.isEmpty() ? null : given);
    }

    private static Chat checked(Row row, List<Map<String, Object>> messages) {
        if ("assistant".equals(messages.getFirst().get("role"))) {
            throw row.error(
                    "messages[0] is the assistant's; a chat begins with a system or user message");
        }
        return new Chat(List.copyOf(messages), null);
    }

    private static Map<String, Object> object(
            Row row, String place, @Nullable Object value, boolean shareGpt) {
        if (!(value instanceof Map<?, ?>)) {
            throw row.error(
                    "%s must be an object %s, got %s",
                    place, shareGpt ? "{from, value}" : "{role, content}", Row.kind(value));
        }
        @SuppressWarnings("unchecked") // names of a JSON object are strings
        Map<String, Object> message = (Map<String, Object>) value;
        return message;
    }

    private static Map<String, Object> ofShareGpt(
            Row row, String place, Map<String, Object> message) {
        String from =
                message.get("from") instanceof String name ? name.toLowerCase(Locale.ROOT) : "";
        String role = ROLES.get(from);
        if (role == null) {
            throw row.error(
                    "%s.from must be human, gpt, system, tool, function_call or observation, got %s",
                    place,
                    message.get("from") instanceof String s ? s : missingOr(message, "from"));
        }
        if (!(message.get("value") instanceof String value)) {
            throw row.error("%s.value must be text, got %s", place, missingOr(message, "value"));
        }
        Map<String, Object> out = new LinkedHashMap<>(message);
        out.remove("from");
        out.remove("value");
        out.put("role", role);
        if (from.equals("function_call")) {
            if (!(fromText(value) instanceof Map<?, ?> call) || !call.containsKey("name")) {
                throw row.error(
                        "%s is a function_call, so its value must be a JSON object {name, arguments}",
                        place);
            }
            out.put("tool_calls", List.of(toolCall(call)));
        }
        out.put("content", from.equals("function_call") ? "" : value);
        return out;
    }

    private static Map<String, Object> ofOpenAi(
            Row row, String place, Map<String, Object> message) {
        if (!(message.get("role") instanceof String)) {
            throw row.error(
                    "%s.role must be text such as \"user\", got %s",
                    place, missingOr(message, "role"));
        }
        Object content = message.get("content");
        Object calls = message.get("tool_calls");
        Object older = message.get("function_call");
        if (calls != null && !(calls instanceof List<?>)) {
            throw row.error("%s.tool_calls must be a list, got %s", place, Row.kind(calls));
        }
        boolean isCall = content == null && (calls != null || older != null);
        if (!(content instanceof String || content instanceof List<?> || isCall)) {
            throw row.error(
                    "%s.content must be text, got %s", place, missingOr(message, "content"));
        }
        if (calls == null && older == null) {
            return message;
        }
        Map<String, Object> out = new LinkedHashMap<>(message);
        List<Object> converted = new ArrayList<>();
        for (Object call : calls instanceof List<?> list ? list : List.of()) {
            converted.add(call instanceof Map<?, ?> map ? toolCall(map) : call);
        }
        if (older instanceof Map<?, ?> map) {
            converted.add(toolCall(map));
            out.remove("function_call");
        }
        out.put("tool_calls", converted);
        return out;
    }

    /** A call as OpenAI writes it, its arguments as an object. */
    private static Map<String, Object> toolCall(Map<?, ?> call) {
        Map<String, Object> out = new LinkedHashMap<>();
        Map<?, ?> function = call.get("function") instanceof Map<?, ?> inner ? inner : call;
        if (function == call) {
            out.put("type", "function");
        } else {
            call.forEach((name, value) -> out.put(String.valueOf(name), value));
        }
        Map<String, Object> written = new LinkedHashMap<>();
        function.forEach((name, value) -> written.put(String.valueOf(name), value));
        if (written.containsKey("arguments")) {
            written.put("arguments", fromText(written.get("arguments")));
        }
        out.put("function", written);
        return out;
    }

    /** The list or object that a text holds as JSON, as tables store them; else the value. */
    private static @Nullable Object fromText(@Nullable Object value) {
        if (value instanceof String text && (text.startsWith("[") || text.startsWith("{"))) {
            try {
                return JSON.readValue(text, Object.class);
            } catch (JacksonException e) {
                return value;
            }
        }
        return value;
    }

    private static String missingOr(Map<String, Object> fields, String name) {
        return fields.containsKey(name)
                ? Row.kind(fields.get(name))
                : "none; it has " + fields.keySet();
    }

    /**
     * Whether a message is learnt: one of the roles that are, but for those with {@code "weight":
     * 0} (OpenAI) or {@code "train": false} (axolotl), which leave one out.
     */
    boolean isTrained(int index, List<String> roles) {
        Map<String, Object> message = messages.get(index);
        boolean left =
                Boolean.FALSE.equals(message.get("train"))
                        || (message.get("weight") instanceof Number weight
                                && weight.doubleValue() == 0);
        return roles.contains(String.valueOf(message.get("role"))) && !left;
    }

    /** The first messages of this chat. */
    Chat first(int count) {
        return new Chat(messages.subList(0, count), tools);
    }

    /**
     * This chat without its first exchange: the system message stays, then all up to the next
     * message of the user is left out. Null if no other exchange follows.
     */
    @Nullable Chat withoutFirstExchange() {
        int begin = 0;
        while (begin < messages.size() && isSystem(begin)) {
            begin++;
        }
        int next = begin + 1;
        while (next < messages.size() && !"user".equals(messages.get(next).get("role"))) {
            next++;
        }
        if (next >= messages.size()) {
            return null;
        }
        List<Map<String, Object>> left = new ArrayList<>(messages.subList(0, begin));
        left.addAll(messages.subList(next, messages.size()));
        return new Chat(left, tools);
    }

    private boolean isSystem(int index) {
        Object role = messages.get(index).get("role");
        return "system".equals(role) || "developer".equals(role);
    }
}
