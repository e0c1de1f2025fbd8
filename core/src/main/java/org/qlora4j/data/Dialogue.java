package org.qlora4j.data;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A dialogue written as one text, taken apart into messages, for use with a chat template.
 *
 * @param user what stands before a turn of the user
 * @param assistant what stands before a turn of the assistant
 */
record Dialogue(String user, String assistant) {
    /** Open Assistant as in timdettmers/openassistant-guanaco. */
    static final Dialogue OASST1 = new Dialogue("### Human:", "### Assistant:");

    /** Anthropic/hh-rlhf. */
    static final Dialogue HH_RLHF = new Dialogue("\n\nHuman:", "\n\nAssistant:");

    boolean isIn(String text) {
        return text.contains(user) || text.contains(assistant);
    }

    /**
     * The turns in their order, each stripped of the space around it.
     *
     * @param field for messages: where the text stands
     */
    List<Map<String, Object>> messages(Row row, String field, String text) {
        List<Map<String, Object>> messages = new ArrayList<>();
        int at = next(text, 0);
        if (at < 0 || !text.substring(0, at).isBlank()) {
            throw row.error(
                    "field %s does not begin with \"%s\", so it has no turns for a chat template; leave data.chat_template out to learn"
                            + " the whole text",
                    field, user.strip());
        }
        while (at >= 0) {
            boolean isUser = text.startsWith(user, at);
            int from = at + (isUser ? user : assistant).length();
            at = next(text, from);
            String content = text.substring(from, at < 0 ? text.length() : at).strip();
            messages.add(Map.of("role", isUser ? "user" : "assistant", "content", content));
        }
        return messages;
    }

    private int next(String text, int from) {
        int a = text.indexOf(user, from);
        int b = text.indexOf(assistant, from);
        return a < 0 ? b : b < 0 ? a : Math.min(a, b);
    }
}
