package org.qlora4j.task;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * A part of a prompt, which may become a message of a chat.
 *
 * @param delimiter stands behind it where the prompt is one text
 */
record PromptMessage(String role, String content, String delimiter) {
    static String text(List<PromptMessage> messages) {
        return messages.stream().map(m -> m.content + m.delimiter).collect(Collectors.joining());
    }

    private Map<String, String> message() {
        return message(role, content);
    }

    private static Map<String, String> message(String role, String content) {
        Map<String, String> message = new LinkedHashMap<>();
        message.put("role", role);
        message.put("content", content);
        return message;
    }

    /** Each a message of its own. */
    static List<Map<String, String>> turns(List<PromptMessage> messages) {
        return messages.stream().map(PromptMessage::message).toList();
    }

    /** One message of the user, with the system's before it and a begun answer behind it. */
    static List<Map<String, String>> oneTurn(List<PromptMessage> messages) {
        List<Map<String, String>> out = new ArrayList<>();
        int from = messages.getFirst().role.equals("system") ? 1 : 0;
        int to = messages.size() - (messages.getLast().role.equals("assistant") ? 1 : 0);
        if (from == 1) {
            out.add(messages.getFirst().message());
        }
        List<PromptMessage> user = new ArrayList<>(messages.subList(from, to));
        PromptMessage last = user.removeLast();
        out.add(message("user", text(user) + last.content));
        if (to < messages.size()) {
            out.add(messages.getLast().message());
        }
        return out;
    }

    /** Two texts, with a delimiter between them unless one has white space there. */
    static String joined(String before, String after, String delimiter) {
        return needsDelimiter(before, after) && !after.isEmpty()
                ? before + delimiter + after
                : before + after;
    }

    /** Whether neither text has white space where they meet. */
    static boolean needsDelimiter(String before, String after) {
        return !before.isEmpty()
                && !after.isEmpty()
                && !PythonText.isSpace(before.charAt(before.length() - 1))
                && !PythonText.isSpace(after.charAt(0));
    }
}
