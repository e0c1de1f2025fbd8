package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads messages as {@code {role, content}} (OpenAI) or {@code {from, value}} (ShareGPT) into the
 * one layout that chat templates know. What older layouts say otherwise has its newer form: {@code
 * function_call} is a tool call, and arguments that hold JSON as a text are what the text says, for
 * that is what most chat templates print ({@link ToolArguments}). Nulls that stand for a missing
 * field are left out, and so are empty {@code tool_calls}.
 */
record MessageReader(Roles roles) {
    /**
     * The messages of a list that is not empty.
     *
     * @param field where it stands in the record, for messages
     */
    List<Map<String, Object>> all(Row row, String field, List<?> list) {
        boolean table = row.table() || TableNulls.areIn(list);
        List<Map<String, Object>> messages = new ArrayList<>();
        for (int i = 0; i < list.size(); i++) {
            String place = field + "[" + i + "]";
            Map<String, Object> message = object(row, field, place, list.get(i), table);
            messages.add(
                    message.containsKey("from") && !message.containsKey("role")
                            ? ofShareGpt(row, place, message)
                            : ofOpenAi(row, place, message));
        }
        return messages;
    }

    /** How messages of a field are written, for messages to people. */
    static String layout(String field) {
        return field.equals("conversations") ? "{from, value}" : "{role, content}";
    }

    /** A message without nulls, and with checked marks of what is learnt. */
    private static Map<String, Object> object(
            Row row, String field, String place, @Nullable Object value, boolean table) {
        if (!(value instanceof Map<?, ?> map)) {
            throw row.error(
                    "%s must be an object %s, got %s", place, layout(field), Row.kind(value));
        }
        Map<String, Object> message = new LinkedHashMap<>();
        map.forEach((key, given) -> {
            String name = String.valueOf(key);
            Object plain = table ? TableNulls.without(given) : given;
            if (plain != null || name.equals("content") || name.equals("value")) {
                put(message, name, plain);
            }
        });
        if (message.containsKey("weight")) {
            put(message, "weight", mark(row, place, "weight", message.get("weight")));
        }
        if (message.containsKey("train")) {
            Object train = mark(row, place, "train", message.get("train"));
            put(message, "train", train == null ? null : train.equals(1L));
        }
        return message;
    }

    @SuppressWarnings("NullAway") // a message may hold null, as in JSON
    private static void put(Map<String, Object> message, String name, @Nullable Object value) {
        message.put(name, value);
    }

    /** 0 or 1 of a number, a truth value, or a table's text of one; null of an empty text. */
    private static @Nullable Object mark(Row row, String place, String name, Object value) {
        Object plain =
                switch (value) {
                    case Boolean flag -> flag ? 1L : 0L;
                    case Number n when n.doubleValue() == 0 -> 0L;
                    case Number n when n.doubleValue() == 1 -> 1L;
                    case String text ->
                            switch (text.strip().toLowerCase(Locale.ROOT)) {
                                case "" -> "";
                                case "0", "0.0", "false", "no" -> 0L;
                                case "1", "1.0", "true", "yes" -> 1L;
                                default -> value;
                            };
                    default -> value;
                };
        if (plain.equals(0L) || plain.equals(1L)) {
            return plain;
        }
        if (plain.equals("")) {
            return null;
        }
        throw row.error(
                "%s.%s must be %s, got %s; a message is learnt or it is not",
                place,
                name,
                name.equals("weight") ? "0 or 1" : "true or false",
                value instanceof String text && text.length() < 40
                        ? "\"" + text + "\""
                        : Row.kind(value));
    }

    private Map<String, Object> ofShareGpt(Row row, String place, Map<String, Object> message) {
        if (!(message.get("from") instanceof String from)) {
            throw row.error(
                    "%s.from must be text such as \"human\", got %s",
                    place, missingOr(message, "from"));
        }
        Object value = message.get("value");
        boolean calls =
                value == null && message.get("tool_calls") instanceof List<?> l && !l.isEmpty();
        if (!(value instanceof String || value instanceof List<?> || calls)) {
            throw row.error("%s.value must be text, got %s", place, missingOr(message, "value"));
        }
        Map<String, Object> renamed = new LinkedHashMap<>();
        renamed.put("role", from);
        put(renamed, "content", value);
        message.forEach((name, other) -> {
            if (!name.equals("from") && !name.equals("value")) {
                renamed.put(name, other);
            }
        });
        return checked(row, place, ".from", renamed);
    }

    private Map<String, Object> ofOpenAi(Row row, String place, Map<String, Object> message) {
        if (!(message.get("role") instanceof String)) {
            throw row.error(
                    "%s.role must be text such as \"user\", got %s",
                    place, missingOr(message, "role"));
        }
        return checked(row, place, ".role", message);
    }

    /** A message whose role has the name that templates know, with its calls in one layout. */
    private Map<String, Object> checked(
            Row row, String place, String field, Map<String, Object> message) {
        String role = roles.of(row, place + field, String.valueOf(message.get("role")));
        Map<String, Object> out = new LinkedHashMap<>(message);
        List<Object> calls = calls(row, place, out);
        Object content = out.get("content");
        if (role.equals(Roles.CALL)) {
            calls.addAll(callsIn(row, place, content));
            role = "assistant";
            content = "";
            out.put("content", "");
        }
        if (!(content instanceof String
                || content instanceof List<?>
                || (content == null && !calls.isEmpty()))) {
            throw row.error(
                    "%s.content must be text, got %s", place, missingOr(message, "content"));
        }
        out.put("role", role);
        if (content instanceof List<?> parts) {
            put(out, "content", TableNulls.without(parts));
        }
        if (!calls.isEmpty()) {
            out.put("tool_calls", calls);
        }
        return out;
    }

    /** Takes the calls of a message off it, in OpenAI's layout; empty ones are none. */
    private static List<Object> calls(Row row, String place, Map<String, Object> message) {
        List<Object> calls = new ArrayList<>();
        Object given = ChatReader.fromText(message.remove("tool_calls"));
        boolean none =
                given == null
                        || (given instanceof Map<?, ?> map && map.isEmpty())
                        || (given instanceof String text
                                && (text.isBlank() || text.strip().equals("null")));
        if (!none && !(given instanceof List<?>)) {
            throw row.error("%s.tool_calls must be a list, got %s", place, Row.kind(given));
        }
        for (Object call : given instanceof List<?> list ? list : List.of()) {
            Object plain = ChatReader.fromText(call);
            if (plain != null) {
                calls.add(plain instanceof Map<?, ?> map ? toolCall(map) : plain);
            }
        }
        if (ChatReader.fromText(message.get("function_call")) instanceof Map<?, ?> older) {
            message.remove("function_call");
            calls.add(toolCall(older));
        }
        return calls;
    }

    /** The calls of a message that is nothing but calls, written as JSON. */
    private static List<Object> callsIn(Row row, String place, @Nullable Object content) {
        Object value = ChatReader.fromText(content instanceof String text ? text.strip() : content);
        List<?> list = value instanceof List<?> several ? several : listOf(value);
        List<Object> calls = new ArrayList<>();
        for (Object one : list) {
            if (!(one instanceof Map<?, ?> call)
                    || !(call.containsKey("name") || call.containsKey("function"))) {
                throw row.error(
                        "%s is a function_call, so its value must be a JSON object {name, arguments}",
                        place);
            }
            calls.add(toolCall(call));
        }
        return calls;
    }

    private static List<?> listOf(@Nullable Object value) {
        return Collections.singletonList(value);
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
            put(written, "arguments", ChatReader.fromText(written.get("arguments")));
        }
        out.put("function", written);
        return out;
    }

    static String missingOr(Map<String, Object> fields, String name) {
        return fields.containsKey(name)
                ? Row.kind(fields.get(name))
                : "none; it has " + fields.keySet();
    }
}
