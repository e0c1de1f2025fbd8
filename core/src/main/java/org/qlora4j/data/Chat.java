package org.qlora4j.data;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A checked chat, however the record wrote it ({@link ChatReader}).
 *
 * @param messages at least one; each has a role, and a content or tool calls, and whatever else the
 *     record holds
 * @param tools function signatures, or null
 * @param variables more of the record for the chat template, such as {@code enable_thinking}
 */
public record Chat(
        List<Map<String, Object>> messages,
        @Nullable List<?> tools,
        Map<String, Object> variables) {
    /** Without variables. */
    public Chat(List<Map<String, Object>> messages, @Nullable List<?> tools) {
        this(messages, tools, Map.of());
    }

    /** The role of a message. */
    String role(int index) {
        return String.valueOf(messages.get(index).get("role"));
    }

    /** The places of the messages of a role. */
    List<Integer> of(String role) {
        List<Integer> places = new ArrayList<>();
        for (int i = 0; i < messages.size(); i++) {
            if (role(i).equals(role)) {
                places.add(i);
            }
        }
        return places;
    }

    /**
     * Whether a message is learnt: one of the roles that are, but for those with {@code "weight":
     * 0} (OpenAI) or {@code "train": false} (axolotl), which leave one out.
     */
    boolean isTrained(int index, List<String> roles) {
        return roles.contains(role(index)) && !isLeftOut(index);
    }

    /** Whether the record itself says that a message is not learnt. */
    boolean isLeftOut(int index) {
        Map<String, Object> message = messages.get(index);
        return Boolean.FALSE.equals(message.get("train"))
                || (message.get("weight") instanceof Number weight && weight.doubleValue() == 0);
    }

    /** The first messages of this chat. */
    Chat first(int count) {
        return with(messages.subList(0, count));
    }

    /** Other messages with the same tools and variables. */
    Chat with(List<Map<String, Object>> others) {
        return new Chat(others, tools, variables);
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
        while (next < messages.size() && !role(next).equals("user")) {
            next++;
        }
        if (next >= messages.size()) {
            return null;
        }
        List<Map<String, Object>> left = new ArrayList<>(messages.subList(0, begin));
        left.addAll(messages.subList(next, messages.size()));
        return with(left);
    }

    /** Whether a message gives instructions instead of taking part. */
    boolean isSystem(int index) {
        return role(index).equals("system") || role(index).equals("developer");
    }
}
