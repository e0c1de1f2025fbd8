package org.qlora4j.generate;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.ChatTemplate;

/**
 * Where a chat template opens and closes the user's turn: a model that is given the text up to
 * there writes the user's message itself (arXiv 2406.08464, section 2).
 */
final class UserTurn {
    /** Stands for a message; letters alone, so that no template trims or escapes it. */
    private static final String MARK = "QLORA4JMESSAGE";

    private final ChatTemplate template;
    private final String leftOut; // of every prompt's beginning

    /**
     * @param bos the token's text, empty if there is none
     * @param withoutSystem whether what the template puts before a first user message of its own
     *     accord, such as a default system message, is left out but for {@code bos}
     * @throws FormatException if the template does not print messages as they are
     */
    UserTurn(ChatTemplate template, String bos, boolean withoutSystem) {
        this.template = template;
        String first = before(MARK, render(List.of(message("user", MARK)), false));
        if (!withoutSystem) {
            this.leftOut = "";
            return;
        }
        // a later user turn shows what opens one: its text less that which closed the answer
        List<Map<String, String>> answered =
                List.of(message("user", "a"), message("assistant", MARK));
        String closed = after(MARK, render(answered, false));
        List<Map<String, String>> two = new ArrayList<>(answered);
        two.add(message("user", MARK + "2"));
        String between = before(MARK + "2", after(MARK, render(two, false)));
        String opening = between.startsWith(closed) ? between.substring(closed.length()) : between;
        if (!first.endsWith(opening)) {
            throw new FormatException(
                    "the chat template opens a first user turn in another way than a later one;"
                            + " keep its system message");
        }
        String head = first.substring(0, first.length() - opening.length());
        this.leftOut = head.startsWith(bos) ? head.substring(bos.length()) : head;
    }

    static Map<String, String> message(String role, String content) {
        Map<String, String> message = new LinkedHashMap<>(); // files have the role first
        message.put("role", role);
        message.put("content", content);
        return Collections.unmodifiableMap(message);
    }

    /** The prompt behind which the user's next message follows. */
    String opening(List<Map<String, String>> chat) {
        List<Map<String, String>> next = new ArrayList<>(chat);
        next.add(message("user", MARK));
        String text = before(MARK, render(next, false));
        int at = leftOut.isEmpty() ? -1 : text.indexOf(leftOut);
        return at < 0 ? text : text.substring(0, at) + text.substring(at + leftOut.length());
    }

    /** The prompt behind which the answer to a chat follows; as training will see it. */
    String answerPrompt(List<Map<String, String>> chat) {
        return render(chat, true);
    }

    /**
     * What stands between the user's message and the answer, without white space around it: where a
     * template ends no user turn with an end-of-text token, the model goes on with this.
     */
    String closing(List<Map<String, String>> chat) {
        List<Map<String, String>> next = new ArrayList<>(chat);
        next.add(message("user", MARK));
        return after(MARK, render(next, true)).strip();
    }

    private String render(List<Map<String, String>> chat, boolean addGenerationPrompt) {
        return template.render(chat, null, addGenerationPrompt, Map.of());
    }

    private static String before(String mark, String text) {
        return text.substring(0, find(mark, text));
    }

    private static String after(String mark, String text) {
        return text.substring(find(mark, text) + mark.length());
    }

    private static int find(String mark, String text) {
        int at = text.indexOf(mark);
        if (at < 0) {
            throw new FormatException(
                    "the chat template does not print a message as it is, so that nothing can be"
                            + " written in its place; sample from another model");
        }
        return at;
    }
}
