package org.qlora4j.data;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.json.JsonMapper;

/**
 * Makes chats of records: of OpenAI's messages, ShareGPT's conversations, TRL's conversational
 * prompts and answers, dialogues in one text, and pairs of prompt and answer. Messages themselves
 * are read by {@link MessageReader}.
 */
public final class ChatReader {
    private static final JsonMapper JSON =
            JsonMapper.builder().enable(DeserializationFeature.USE_LONG_FOR_INTS).build();

    /** The field of a record that holds any variables for the chat template, as in TRL. */
    private static final String VARIABLES = "chat_template_kwargs";

    private final MessageReader messages;

    /** Takes roles by {@code data.roles} and by their usual names. */
    public ChatReader(Map<String, String> roles) {
        this(new Roles(roles, name -> false));
    }

    ChatReader(Roles roles) {
        this.messages = new MessageReader(roles);
    }

    /**
     * The chats of a record, nearly always one. Throws a {@code FormatException} naming file, line
     * and message if a part is missing or of the wrong type.
     */
    List<Chat> all(Row row, DatasetFormat format) {
        return switch (format) {
            case MESSAGES -> List.of(chat(row, "messages"));
            case SHAREGPT -> List.of(chat(row, "conversations"));
            case OASST1 ->
                    List.of(chat(row, Dialogue.OASST1.messages(row, "text", row.text("text"))));
            case HH_RLHF -> List.of(chat(row, hhRlhf(row)));
            case TEXT ->
                    throw row.error(
                            "records are plain text, which has no turns for data.chat_template; leave that out");
            case PREFERENCE -> List.of(preferred(row));
            case PROMPT_COMPLETION -> List.of(pair(row, "prompt", "completion"));
            case INPUT_OUTPUT -> List.of(pair(row, "input", "output"));
            default ->
                    SourceTarget.plainOf(row, format).stream()
                            .map(p -> pair(row, List.of(user(p.source())), p.target()))
                            .toList();
        };
    }

    /** Whether a record's prompt or answer is a list of messages instead of a text. */
    static boolean isConversational(Row row, DatasetFormat format) {
        return switch (format) {
            case PROMPT_COMPLETION, INPUT_OUTPUT, PREFERENCE, HH_RLHF ->
                    format.fields().stream().anyMatch(f -> isMessages(row.fields().get(f)));
            default -> false;
        };
    }

    private static boolean isMessages(@Nullable Object value) {
        return value instanceof List<?> list
                && !list.isEmpty()
                && list.getFirst() instanceof Map<?, ?> first
                && (first.containsKey("role") || first.containsKey("from"));
    }

    /**
     * The chat of a field that holds messages, of any layout.
     *
     * @param field {@code messages} or {@code conversations}
     */
    public Chat chat(Row row, String field) {
        Object value = fromText(row.fields().get(field));
        if (!(value instanceof List<?> list)) {
            throw row.error(
                    "field %s must be a list of %s, got %s",
                    field,
                    MessageReader.layout(field),
                    MessageReader.missingOr(row.fields(), field));
        }
        if (list.isEmpty()) {
            throw row.error("field %s is an empty list", field);
        }
        return chat(row, messages.all(row, field, list));
    }

    private static List<Map<String, Object>> hhRlhfText(Row row, String text) {
        return Dialogue.HH_RLHF.messages(
                row, "chosen", text.startsWith("\n\n") ? text : "\n\n" + text);
    }

    private List<Map<String, Object>> hhRlhf(Row row) {
        return isMessages(row.fields().get("chosen"))
                ? side(row, "chosen", "assistant")
                : hhRlhfText(row, row.text("chosen"));
    }

    /** Prompt and the answer that was preferred; that may hold the prompt again. */
    private Chat preferred(Row row) {
        List<Map<String, Object>> chosen =
                row.fields().get("chosen") instanceof String text && Dialogue.HH_RLHF.isIn(text)
                        ? hhRlhfText(row, text)
                        : side(row, "chosen", "assistant");
        boolean whole = !"assistant".equals(chosen.getFirst().get("role"));
        return whole ? chat(row, chosen) : pair(row, side(row, "prompt", "user"), chosen);
    }

    private Chat pair(Row row, String source, String target) {
        return pair(row, side(row, source, "user"), side(row, target, "assistant"));
    }

    private Chat pair(Row row, List<Map<String, Object>> prompt, String target) {
        return pair(row, prompt, List.of(Map.of("role", "assistant", "content", target)));
    }

    /** What stands in the prompt is not learnt, not even its answers. */
    private Chat pair(Row row, List<Map<String, Object>> prompt, List<Map<String, Object>> answer) {
        List<Map<String, Object>> all = new ArrayList<>();
        for (Map<String, Object> given : prompt) {
            Map<String, Object> masked = new LinkedHashMap<>(given);
            if ("assistant".equals(given.get("role"))) {
                masked.put("train", false);
            }
            all.add(masked);
        }
        all.addAll(answer);
        return chat(row, all);
    }

    /** A field that holds messages, or the text of one of this role. */
    private List<Map<String, Object>> side(Row row, String field, String role) {
        Object value = row.fields().get(field);
        if (value instanceof Map<?, ?> one
                && (one.containsKey("role") || one.containsKey("from"))) {
            value = List.of(one);
        }
        if (isMessages(value) && value instanceof List<?> list) {
            return messages.all(row, field, list);
        }
        return List.of(Map.of("role", role, "content", row.text(field)));
    }

    private static Map<String, Object> user(String content) {
        return Map.of("role", "user", "content", content);
    }

    /**
     * Checked messages with what else the record says of the chat: instructions, history, tools.
     */
    private Chat chat(Row row, List<Map<String, Object>> given) {
        List<Map<String, Object>> all = new ArrayList<>(given);
        List<Object> history = SideColumns.history(row);
        if (history != null && !history.isEmpty()) {
            int instructions = new Chat(all, null).isSystem(0) ? 1 : 0;
            all.addAll(instructions, messages.all(row, SideColumns.HISTORY, history));
        }
        String system = SideColumns.text(row, SideColumns.SYSTEM);
        if (!system.isEmpty() && !new Chat(all, null).isSystem(0)) {
            all.addFirst(Map.of("role", "system", "content", system));
        }
        return new Chat(List.copyOf(all), tools(row), variables(row));
    }

    private static @Nullable List<?> tools(Row row) {
        Object tools = fromText(row.fields().get("tools"));
        if (tools instanceof String text && (text.isBlank() || text.strip().equals("null"))) {
            return null;
        }
        if (tools == null && fromText(row.fields().get("functions")) instanceof List<?> functions) {
            tools = functions.stream().map(f -> Map.of("type", "function", "function", f)).toList();
        }
        if (tools != null && !(tools instanceof List<?>)) {
            throw row.error("field tools must be a list, got %s", Row.kind(tools));
        }
        if (!(tools instanceof List<?> list) || list.isEmpty()) {
            return null;
        }
        List<?> plain = row.table() || TableNulls.areIn(list) ? TableNulls.without(list) : list;
        return plain.stream().map(ChatReader::fromText).toList();
    }

    private static Map<String, Object> variables(Row row) {
        Map<String, Object> variables = new LinkedHashMap<>();
        row.fields()
                .forEach((name, value) -> {
                    Object plain = known(name, value);
                    if (plain != null) {
                        variables.put(name, plain);
                    }
                });
        Object more = fromText(row.fields().get(VARIABLES));
        if (more instanceof Map<?, ?> map) {
            Map<?, ?> kept = row.table() ? TableNulls.without(map) : map;
            kept.forEach((name, value) -> variables.put(String.valueOf(name), value));
        } else if (more != null && !more.equals("")) {
            throw row.error("field %s must be an object, got %s", VARIABLES, Row.kind(more));
        }
        return variables;
    }

    /**
     * The value of a field that widely used chat templates take for a variable; null if it is none,
     * or no value of its kind.
     */
    private static @Nullable Object known(String name, @Nullable Object value) {
        return switch (name) {
            case "enable_thinking", "thinking" ->
                    value instanceof String text && (text.equals("true") || text.equals("false"))
                            ? (Object) Boolean.valueOf(text)
                            : value instanceof Boolean ? value : null;
            case "documents" ->
                    fromText(value) instanceof List<?> list && !list.isEmpty() ? list : null;
            case "date_string", "reasoning_effort", "model_identity" ->
                    value instanceof String text && !text.isBlank() ? text : null;
            case "thinking_budget" -> value instanceof Number ? value : null;
            default -> null;
        };
    }

    /** The list or object that a text holds as JSON, as tables store them; else the value. */
    static @Nullable Object fromText(@Nullable Object value) {
        if (value instanceof String text && (text.startsWith("[") || text.startsWith("{"))) {
            try {
                return JSON.readValue(text, Object.class);
            } catch (JacksonException e) {
                return value;
            }
        }
        return value;
    }
}
