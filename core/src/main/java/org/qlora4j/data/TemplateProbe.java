package org.qlora4j.data;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.UserException;

/**
 * What a chat template writes of a chat, found by small chats whose words no template has. Each
 * question is asked once. A template that refuses the small chat is taken to write the part: it
 * would refuse the record too.
 */
final class TemplateProbe {
    /** Fields that widely used data keeps an answer's thought in, beside its content. */
    static final List<String> THOUGHTS = List.of("reasoning_content", "thinking", "reasoning");

    /** Letters alone, so that no template trims or escapes them. */
    private static final String WORD = "qloraprobe";

    private final ChatRenderer template;
    private final ControlTokens control;
    private final Map<String, Boolean> answers = new ConcurrentHashMap<>();
    private final Map<String, String> ends = new ConcurrentHashMap<>();

    TemplateProbe(ChatRenderer template, ControlTokens control) {
        this.template = template;
        this.control = control;
    }

    /** The parts of a chat that the template leaves out, by their names in records. */
    List<String> unwritten(Chat chat) {
        List<String> parts = new ArrayList<>();
        if (chat.tools() != null && !writes("tools", TemplateProbe::withTools)) {
            parts.add("tools");
        }
        if (any(chat, m -> m.get("tool_calls") != null)
                && !writes("calls", () -> withCall(WORD, "a"))) {
            parts.add("tool_calls");
        }
        if (any(chat, m -> "tool".equals(m.get("role")))
                && !writes("results", () -> withCall("f", WORD))) {
            parts.add("messages of tools");
        }
        if (any(chat, m -> "system".equals(m.get("role")))
                && !writes("system", TemplateProbe::withSystem)) {
            parts.add("system messages");
        }
        for (Map<String, Object> message : chat.messages()) {
            List<String> names = THOUGHTS.stream().filter(n -> isThought(message.get(n))).toList();
            boolean written = names.stream().anyMatch(n -> writes(n, () -> withThought(n)));
            if (!written && !names.isEmpty() && !parts.contains(names.getFirst())) {
                parts.add(names.getFirst());
            }
        }
        return parts;
    }

    /** The thought that a message holds beside its content, or null. */
    static @Nullable String thought(Map<String, Object> message) {
        for (String name : THOUGHTS) {
            if (isThought(message.get(name))) {
                return String.valueOf(message.get(name));
            }
        }
        return null;
    }

    private static boolean isThought(@Nullable Object value) {
        return value instanceof String text && !text.isBlank();
    }

    private static boolean any(Chat chat, Predicate<Map<String, Object>> of) {
        return chat.messages().stream().anyMatch(of);
    }

    private boolean writes(String part, Supplier<Chat> chat) {
        return answers.computeIfAbsent(
                part,
                p -> {
                    String text = write(chat.get());
                    return text == null || text.contains(WORD);
                });
    }

    /**
     * Whether the template goes through a content of parts, as those of models that see do; others
     * print the list as Python does, or nothing.
     */
    boolean takesParts(String role) {
        return answers.computeIfAbsent(
                "parts of " + role,
                r -> {
                    Object parts = List.of(Map.of("type", "text", "text", WORD));
                    String text = write(withContent(role, parts));
                    // 'text' and "text" are how a list is printed
                    return text != null
                            && text.contains(WORD)
                            && !text.contains("'text'")
                            && !text.contains("\"text\"");
                });
    }

    /** Whether the template writes anything for a part of a content, such as an image. */
    boolean writesPart(String role, Map<?, ?> part) {
        return answers.computeIfAbsent(
                "part " + role + " " + part.get("type"),
                r -> {
                    Object words = Map.of("type", "text", "text", WORD);
                    String with = write(withContent(role, List.of(words, part)));
                    String without = write(withContent(role, List.of(words)));
                    return with == null || !with.equals(without);
                });
    }

    /** The special token that the template puts behind a message of a role; empty for none. */
    String endOf(String role) {
        return ends.computeIfAbsent(
                role,
                r -> {
                    String text = write(withContent(role, WORD));
                    int at = text == null ? -1 : text.indexOf(WORD);
                    if (text == null || at < 0) {
                        return "";
                    }
                    String end =
                            control.atStartOf(text.substring(at + WORD.length()).stripLeading());
                    return end == null ? "" : end;
                });
    }

    /**
     * Whether the template opens the next answer behind a chat, asked or not (Command R7B). A chat
     * is then no beginning of a longer one.
     */
    boolean opensAlways() {
        return answers.computeIfAbsent(
                "opens always",
                p -> {
                    Chat chat = withContent("assistant", WORD);
                    List<Map<String, Object>> longer = new ArrayList<>(chat.messages());
                    longer.add(message("user", "a"));
                    String text = write(chat);
                    String more = write(chat.with(longer));
                    return text != null
                            && more != null
                            && !more.startsWith(text.stripTrailing())
                            && text.equals(prompt(chat));
                });
    }

    private @Nullable String prompt(Chat chat) {
        try {
            return template.render(chat, true).text();
        } catch (UserException e) {
            return null;
        }
    }

    private @Nullable String write(Chat chat) {
        try {
            return template.render(chat, false).text();
        } catch (UserException e) {
            if (ToolArguments.asText(chat.messages()) == chat.messages()) {
                return null;
            }
            try {
                return template.render(chat.with(ToolArguments.asText(chat.messages())), false)
                        .text();
            } catch (UserException refused) {
                return null;
            }
        }
    }

    private static Chat withContent(String role, Object content) {
        List<Map<String, Object>> messages = new ArrayList<>();
        if (role.equals("system") || role.equals("developer")) {
            messages.add(message(role, content));
            messages.add(message("user", "a"));
            messages.add(message("assistant", "b"));
        } else if (role.equals("assistant")) {
            messages.add(message("user", "a"));
            messages.add(message(role, content));
        } else {
            messages.add(message("user", content));
            messages.add(message("assistant", "b"));
        }
        return new Chat(messages, null);
    }

    private static Chat withSystem() {
        return withContent("system", WORD);
    }

    private static Chat withThought(String name) {
        Chat chat = withContent("assistant", "b");
        Map<String, Object> answer = new LinkedHashMap<>(chat.messages().getLast());
        answer.put(name, WORD);
        return new Chat(List.of(chat.messages().getFirst(), answer), null);
    }

    private static Chat withTools() {
        return new Chat(List.of(message("user", "a")), List.of(tool(WORD)));
    }

    private static Chat withCall(String name, String result) {
        Map<String, Object> call = new LinkedHashMap<>();
        call.put("role", "assistant");
        call.put("content", "");
        // nine letters, which Mistral's templates ask of an id
        Map<String, Object> function = Map.of("name", name, "arguments", Map.of("a", "b"));
        call.put(
                "tool_calls",
                List.of(Map.of("id", "abcdefghi", "type", "function", "function", function)));
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("role", "tool");
        answer.put("name", name);
        answer.put("tool_call_id", "abcdefghi");
        answer.put("content", result);
        List<Map<String, Object>> messages =
                List.of(message("user", "a"), call, answer, message("assistant", "c"));
        return new Chat(messages, List.of(tool("f")));
    }

    private static Map<String, Object> tool(String name) {
        Map<String, Object> argument = Map.of("type", "string", "description", "a");
        Map<String, Object> parameters =
                Map.of(
                        "type",
                        "object",
                        "properties",
                        Map.of("a", argument),
                        "required",
                        List.of("a"));
        return Map.of(
                "type",
                "function",
                "function",
                Map.of("name", name, "description", "a", "parameters", parameters));
    }

    private static Map<String, Object> message(String role, Object content) {
        Map<String, Object> message = new LinkedHashMap<>();
        message.put("role", role);
        message.put("content", content);
        return message;
    }
}
